using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Tests.Evaluation;

public sealed class RetrievalTests
{
    [Fact]
    public void ARankIsTheNumberOfLargerSimilarities()
    {
        // Similarities of four queries (rows) with four targets; the partner of a query is on the diagonal.
        var similarities = torch.tensor(new[,]
        {
            { 0.9f, 0.1f, 0.2f, 0.3f },  // rank 0
            { 0.5f, 0.4f, 0.6f, 0.7f },  // rank 3
            { 0.3f, 0.3f, 0.3f, 0.1f },  // rank 0: equal ones are no larger
            { 0.2f, 0.9f, 0.8f, 0.7f },  // rank 2
        });
        var ranks = new MatchRanks(similarities, torch.eye(4));
        Assert.Equal([0.5, 0.5, 0.75, 1], Enumerable.Range(1, 4).Select(ranks.RecallAt));
        Assert.Equal(1 + (5 / 4.0), ranks.Mean);

        // Between ranks 1 and 3, rounded down.
        Assert.Equal(2, ranks.Median);
        Assert.Equal(1, new MatchRanks(similarities[..3], torch.eye(4)[..3]).Median);
    }

    [Fact]
    public void ChunksOfRowsChangeNothing()
    {
        using var scope = torch.NewDisposeScope();
        const int pairs = 2100;
        var draw = new RandomTensors(1);
        var queries = ZeroShotClassifier.Normalize(draw.Normal(pairs, 6));
        var targets = ZeroShotClassifier.Normalize(queries + (draw.Normal(pairs, 6) * 0.3));
        var similarities = queries.matmul(targets.t());
        var expected = similarities.gt(similarities.diagonal().unsqueeze(1)).sum(1).data<long>().ToArray();
        var ranks = new MatchRanks(queries, targets);
        Assert.Equal(expected.Average() + 1, ranks.Mean, 1e-9);
        Assert.Equal(expected.Count(rank => rank < 10) / (double)pairs, ranks.RecallAt(10));
        Assert.InRange(ranks.RecallAt(1), 0.01, 0.9);
    }

    [Fact]
    public void FeaturesThatAreNoNumbersHaveNoRank()
    {
        var features = torch.eye(3);
        features[1, 1] = float.NaN;
        Assert.Contains("NaN", Assert.Throws<UserException>(() => new MatchRanks(features, torch.eye(3))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheDemoModelFindsPartnersFarAboveChance()
    {
        using var clip = LoadedClip.Load(Path.Combine(Goldens.RepositoryRoot, "models", "shapes-clip"));
        using var pairs = new ShapesImages(ShapesSet.Generate(ShapesSplit.Retrieval, 48));
        var scores = Retrieval.Measure(clip, pairs, new("retrieval", 20));
        Assert.Equal(["image to text", "text to image"], scores.Select(score => score.Direction));
        Assert.All(scores, score =>
        {
            Assert.Equal(48, score.Pairs);
            Assert.InRange(score.RecallAt1, 80, score.RecallAt5);
            Assert.InRange(score.RecallAt10, 98, 100);
            Assert.Equal(1, score.MedianRank);
        });

        // The size of a batch is no part of the result.
        Assert.Equal(scores, Retrieval.Measure(clip, pairs, new("retrieval", 48)));
    }
}
