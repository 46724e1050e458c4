using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Tests.Evaluation;

public sealed class RetrievalRanksTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(40, 3)]
    [InlineData(700, 5)]
    [InlineData(1300, 1)]
    public void BlocksGiveTheRanksOfTheWholeMatrix(int images, int mostCaptions)
    {
        using var scope = torch.NewDisposeScope();
        torch.manual_seed(1);
        var random = new Random(2);
        // Captions in any order; every image has one.
        int[] imageOf = [.. Enumerable.Range(0, images).SelectMany(image => Enumerable.Repeat(image, 1 + random.Next(mostCaptions)))];
        random.Shuffle(imageOf);
        var image = ZeroShotClassifier.Normalize(torch.randn(images, 16));
        var caption = ZeroShotClassifier.Normalize(torch.randn(imageOf.Length, 16));
        var ranks = RetrievalRanks.Of(image, caption, imageOf);

        var scores = image.matmul(caption.t()).data<float>().ToNDArray() as float[,];
        for (var text = 0; text < imageOf.Length; text += 7)
        {
            Assert.Equal(Enumerable.Range(0, images).Count(other => scores![other, text] > scores[imageOf[text], text]), ranks.TextToImage.Ranks[text]);
        }

        for (var row = 0; row < images; row += 7)
        {
            var best = Enumerable.Range(0, imageOf.Length).Where(text => imageOf[text] == row).Max(text => scores![row, text]);
            Assert.Equal(Enumerable.Range(0, imageOf.Length).Count(text => scores![row, text] > best), ranks.ImageToText.Ranks[row]);
        }
    }

    [Fact]
    public void TiesCountForTheQuery()
    {
        using var scope = torch.NewDisposeScope();
        torch.manual_seed(3);
        // Several blocks, the last of them smaller.
        var same = ZeroShotClassifier.Normalize(torch.randn(1, 512)).expand(1300, -1).contiguous();
        var ranks = RetrievalRanks.Of(same, same, [.. Enumerable.Range(0, 1300)]);
        Assert.All(ranks.ImageToText.Ranks, rank => Assert.Equal(0, rank));
        Assert.All(ranks.TextToImage.Ranks, rank => Assert.Equal(0, rank));
    }

    [Fact]
    public void AnImageHasTheBestRankOfItsCaptions()
    {
        using var scope = torch.NewDisposeScope();
        var images = torch.eye(2);
        // The first image's first caption is wrong, its second one right.
        var captions = torch.tensor(new float[,] { { 0, 1 }, { 1, 0 }, { 0.6f, 0.8f } });
        var ranks = RetrievalRanks.Of(images, captions, [0, 0, 1]);
        Assert.Equal([0, 1], ranks.ImageToText.Ranks);
        Assert.Equal([1, 0, 0], ranks.TextToImage.Ranks);
    }

    [Fact]
    public void MedianAndMeanBeginAtOne()
    {
        var ranks = new RankList([4, 0, 1, 0]);
        Assert.Equal((2.25, 1.0, 0.5, 1.0), (ranks.Mean, ranks.Median, ranks.RecallAt(1), ranks.RecallAt(5)));
    }

    [Fact]
    public void WhatCannotBeRankedIsRefused()
    {
        using var scope = torch.NewDisposeScope();
        var features = torch.eye(2);
        Assert.Throws<ArgumentException>(() => RetrievalRanks.Of(features, features, [0, 0]));
        Assert.Throws<ArgumentException>(() => RetrievalRanks.Of(features, features, [0, 1, 1]));
        Assert.Contains(
            "not finite", Assert.Throws<UserException>(() => RetrievalRanks.Of(features, features * float.NaN, [0, 1])).Message, StringComparison.Ordinal);
    }
}
