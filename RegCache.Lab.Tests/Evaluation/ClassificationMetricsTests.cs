using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Encoders;
using TorchSharp;

namespace RegCache.Lab.Tests.Evaluation;

public sealed class ClassificationMetricsTests
{
    // Class 0: two of three right; class 1: none of one; class 2: no image.
    private static readonly ClassificationCounts _counts = ClassificationCounts.None(3)
        .Plus([0, 0], [0, 1, 0, 1], [0.95, 0.61])
        .Plus([0, 1], [2, 0, 0, 1], [0.62, 0.05]);

    [Fact]
    public void RecallIsTheMeanOverClassesThatHaveImages() => Assert.Equal(100 * ((2.0 / 3) + 0) / 2, _counts.MeanPerClassRecall, 1e-12);

    [Fact]
    public void CalibrationErrorWeighsBinsByTheirImages()
    {
        // 0.95 is alone in the last bin and right; 0.61 and 0.62 share one, half of it right; 0.05 is wrong.
        var expected = 100 * (Math.Abs(1 - 0.95) + (2 * Math.Abs(0.5 - 0.615)) + Math.Abs(0 - 0.05)) / 4;
        Assert.Equal(expected, _counts.CalibrationError, 1e-12);
        Assert.Equal(100 * (0.95 + 0.61 + 0.62 + 0.05) / 4, _counts.MeanConfidence, 1e-12);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1.0 / 15, 0)]
    [InlineData(0.0667, 1)]
    [InlineData(0.5, 7)]
    [InlineData(1, 14)]
    [InlineData(1.0000001, 14)]
    public void BinsIncludeTheirUpperBound(double confidence, int bin) => Assert.Equal(bin, ConfidenceBin.IndexOf(confidence));

    [Fact]
    public void ClassesAreATableOfRecallAndPrecision()
    {
        var rows = _counts.Rows("float", ["cat", "dog", "bird"]).ToList();
        Assert.Equal(new ClassRow("float", 0, "cat", 3, 200.0 / 3, 100, 3, 200.0 / 3), rows[0]);
        Assert.Equal(new ClassRow("float", 1, "dog", 1, 0, 100, 0, null), rows[1]);
        Assert.Equal(new ClassRow("float", 2, "bird", 0, null, null, 1, 0), rows[2]);
    }

    [Fact]
    public void CountsAreStoredAndReadBackToTheSameBits()
    {
        using var folder = new TemporaryFolder();
        var provenance = new Provenance(DateTimeOffset.UnixEpoch, "", 0, "", new Dictionary<string, string>(), new Dictionary<string, string>(), new Dictionary<string, string>());
        ResultFile.Write(folder["r.json"], provenance, _counts);
        Assert.Equal(_counts, ResultFile.Read<ClassificationCounts>(folder["r.json"]).Result);
    }

    [Fact]
    public void CountsGoWithTheScoresAndChangeNone()
    {
        using var scope = torch.NewDisposeScope();
        using var model = RandomModels.Create(RandomModels.Tiny);
        using var images = new MemoryImageSource(torch.randn(7, 3, 32, 24), [0, 1, 2, 3, 4, 5, 0]);
        using var classifier = new ZeroShotClassifier(ZeroShotClassifier.Normalize(torch.randn(6, 12)).t().contiguous());
        var plain = EncoderPlan.Plain(model.Vision.Blocks.Count);
        var tree = new PlanTree([plain, EncoderPlan.Uniform(model.Vision.Blocks.Count, new NaiveQuantizer(new(4, 4)))]);
        var scores = PlanEvaluation.Run(model.Vision, classifier, images, tree, new("scores", 3), reference: 0, confidence: new(10));
        var bare = PlanEvaluation.Run(model.Vision, classifier, images, tree, new("scores", 3), reference: 0);
        Assert.Equal(bare, scores.Select(score => score with { Counts = null }));

        using var noGradient = torch.no_grad();
        using var runner = new PlanRunner(model.Vision);
        foreach (var (score, plan) in scores.Zip(tree.Plans))
        {
            Assert.Equal(score.Correct, score.Counts!.Correct.Sum());
            Assert.Equal(score.CorrectTop5, score.Counts.CorrectTop5.Sum());
            Assert.Equal([2, 1, 1, 1, 1, 1], score.Counts.Images);
            Assert.Equal(7, score.Counts.Predicted.Sum());
            var confidences = images.ReadBatches(3).Select(batch =>
                (ZeroShotClassifier.Normalize(runner.Run(batch.Images, plan)).matmul(classifier.Weights) * 10).softmax(-1).amax([-1]).sum().item<float>());
            Assert.Equal(100 * confidences.Sum() / 7, score.Counts.MeanConfidence, 1e-3);
        }
    }

    [Fact]
    public void LogitsOfAPlainClassifierAreItsFeatures()
    {
        using var scope = torch.NewDisposeScope();
        var features = torch.randn(2, 4, 6) * 3;
        var lengths = features.square().sum([-1]).sqrt();
        var confidences = new ConfidenceRule(null).Of(features / lengths.unsqueeze(-1), lengths);
        GoldenTensors.AssertClose(features.softmax(-1).amax([-1]), confidences, 1e-6);
    }
}
