using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Tests.Data.Retrieval;

namespace RegCache.Lab.Tests.Evaluation;

public sealed class ExperimentTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhatWasCalibratedOnceIsTheSameObject(bool keepsFiles)
    {
        var options = Small with { RunDirectory = keepsFiles ? _folder["run"] : null };
        // The second experiment finds the files of the first.
        for (var run = 0; run < 2; run++)
        {
            using var experiment = Experiment.Open(options);
            var plain = EncoderPlan.Plain(experiment.Tower.Blocks.Count);
            var quantizer = experiment.Calibrator(new(8, 8)).Calibrate(plain);
            Assert.Same(quantizer, experiment.Calibrator(new(8, 8)).Calibrate(plain));
            Assert.NotSame(quantizer, experiment.Calibrator(new(6, 6)).Calibrate(plain));
        }
    }

    [Fact]
    public void CalibrationTakesAsManyImagesAsItsOptionSays()
    {
        using var experiment = Experiment.Open(Small);
        Assert.Contains("6 images", experiment.Calibrator(new(8, 8)).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void ImagesOfARetrievalSetServeToCalibrateOn()
    {
        RetrievalLayouts.All["coco"](_folder["coco"], 8);
        using var experiment = Experiment.Open(Small with { CalibrationImages = () => $"coco@val2017:{_folder["coco"]}" });
        experiment.Calibrator(new(8, 8)).Calibrate(EncoderPlan.Plain(experiment.Tower.Blocks.Count));
        using var none = Experiment.Open(Small with { CalibrationImages = () => $"coco@val2018:{_folder["coco"]}" });
        Assert.Throws<UserException>(() => none.Calibrator(new(8, 8)).Calibrate(EncoderPlan.Plain(none.Tower.Blocks.Count)));
        var unlabelled = Small with { ValidationImages = $"coco:{_folder["coco"]}" };
        Assert.Contains("has no labels", Assert.Throws<UserException>(() => Experiment.Open(unlabelled)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ASetThatIsNamedTwiceIsOne()
    {
        using var experiment = Experiment.Open(new() { SearchImages = "shapes@test:48", ValidationImages = "shapes@test:48" });
        Assert.Same(experiment.Search, experiment.Validation);
        Assert.Equal(["IMAGENET_VAL"], experiment.Data.Keys);
    }

    private static ExperimentOptions Small => new()
    {
        SearchCount = 8,
        ValidationCount = 8,
        Quantizer = QuantizerFamilies.All.Find("repqvit"),
        QuantizerValues = MethodValues.None.With(CalibrationImages.CountOption, "6"),
    };
}
