using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Reports;

public sealed class AccuracyCurveTests
{
    [Fact]
    public void LinesOfOpenClipAreReadAndTheLastOfAnEpochCounts()
    {
        string[] lines =
        [
            "2025-05-27,10:00:00 | INFO | Train Epoch: 0 [12800/82783 (15%)] Contrastive_loss: 4.8 (4.8) Loss: 4.8",
            "2025-05-27,10:10:00 | INFO | Eval Epoch: 1 imagenet-zeroshot-val-top1: 0.0094\timagenet-zeroshot-val-top5: 0.0338",
            "2025-05-27,10:20:00 | INFO | Eval Epoch: 2 clip_val_loss: 3.1 imagenet-zeroshot-val-top1: 0.0120\timagenet-zeroshot-val-top5: 0.04",
            "2025-05-27,10:30:00 | INFO | Eval Epoch: 2 imagenet-zeroshot-val-top1: 1.5e-2",
            "2025-05-27,10:30:00 | INFO | Eval Epoch: 0.5 imagenet-zeroshot-val-top1: 0.004 imagenet-zeroshot-val-top5: 0.01",
        ];
        var curve = AccuracyCurve.Parse("log", lines)!;
        Assert.Equal([new(0.5, 0.004, 0.01), new(1, 0.0094, 0.0338), new(2, 0.015, null)], curve.Points);
        Assert.Equal(2, curve.Best.Epoch);
        Assert.Equal([new("log", 0.5, 0.004, 0.01), new("log", 1, 0.0094, 0.0338), new("log", 2, 0.015, null)], curve.Rows());
    }

    [Fact]
    public void LinesOfImageNetScriptsCountInPercentAndNameNoEpoch() =>
        Assert.Equal(
            [new(1, 0.5, 0.75), new(2, 0.7847, 0.94)],
            AccuracyCurve.Parse("log", ["Test:  [0/98]  acc1: 50.0", "Test:  Acc@1 50.000 Acc@5 75.000", "Test: EMA Acc@1 78.470 Acc@5 94.000"])!.Points);

    [Fact]
    public void LogsWithoutAccuracyAndMissingOnesAreRefused()
    {
        using var folder = new TemporaryFolder();
        Assert.Null(AccuracyCurve.Parse("log", ["step 1: loss 3", ""]));
        File.WriteAllText(folder["run.log"], "Eval Epoch: one imagenet-zeroshot-val-top1: none\n");
        Assert.Contains("tells no accuracy", Assert.Throws<UserException>(() => AccuracyCurve.Read(folder.Root)).Message, StringComparison.Ordinal);
        Assert.Contains("none.log", Assert.Throws<UserException>(() => AccuracyCurve.Read(folder["none.log"])).Message, StringComparison.Ordinal);
    }
}
