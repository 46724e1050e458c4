using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Cli;

/// <summary>A tiny ResNet from scratch, then every command that reads a model.</summary>
[Trait("Category", "Slow")]
public sealed class ResNetCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void AResNetIsTrainedAndRunsInEveryCommandThatNeedsNoTokens()
    {
        var (config, run) = (_folder["rn.json"], _folder["run"]);
        File.WriteAllText(config, ClipConfigJson.ToJson(ShapesClipArchitecture.Config with
        {
            Vision = new() { Stages = [1, 1, 1, 1], Layers = 0, Width = 8, ImageSize = (64, 64) },
        }));
        var demo = ModelFolder.FindDemo();
        string[] train =
        [
            "train", "clip", "--model", config, "--tokenizer", demo, "--train-data", "shapes", "--train-num-samples", "64", "--batch-size", "16", "--epochs", "2",
            "--warmup", "2", "--imagenet-val", "shapes@validation:48", "--val-data", "shapes", "--val-num-samples", "16", "--run-dir", run,
        ];
        Assert.Contains("val/imagenet-zeroshot-val-top1: ", Succeed(train), StringComparison.Ordinal);
        var log = File.ReadAllText(Path.Combine(run, "run.log"));
        Assert.Contains("Eval Epoch: 1 imagenet-zeroshot-val-top1: ", log, StringComparison.Ordinal);
        Assert.Contains("\"imagenet_val\"", File.ReadAllText(Path.Combine(run, "result.json")), StringComparison.Ordinal);
        // A finished training measures once more, and counts all of its epochs.
        Succeed(train);
        Assert.Equal([1, 2], AccuracyCurve.Read(run).Points.Select(point => point.Epoch));
        var curves = Succeed(["report", "curves", run, "--epochs", "3", "--csv", _folder["curves.csv"], "--html", _folder["curves.html"]]);
        Assert.Contains("run has 2 of 3 points.", curves, StringComparison.Ordinal);
        Assert.Equal(2, CsvTable.Read<AccuracyRow>(_folder["curves.csv"]).Count);
        Assert.Contains("plotly", File.ReadAllText(_folder["curves.html"]), StringComparison.OrdinalIgnoreCase);

        var model = Path.Combine(run, "model");
        Assert.Contains("ResNet of 1, 1, 1, 1 blocks, width 8", Succeed(["model", "info", model]), StringComparison.Ordinal);
        string[] images = ["--imagenet-val", "shapes@test:48", "--run-dir", _folder["eval"]];
        var accuracy = Succeed(["eval", "classification", "--model", model, "--baseline", "none", .. images]);
        Assert.Contains("of 48 images (float)", accuracy, StringComparison.Ordinal);
        Assert.Contains("R@1", Succeed(["eval", "retrieval", "--model", model, "--dataset", "shapes", "--run-dir", _folder["retrieval"], "--baseline", "none"]), StringComparison.Ordinal);
        Succeed(["data", "make", "shapes", "--out", _folder["shapes"], "--split", "test", "--count", "2", "--format", "folders"]);
        Assert.Contains("image_features", Succeed(["features", _folder["shapes"], "--model", model, "--output", _folder["features.npy"]]), StringComparison.Ordinal);

        foreach (var words in new string[][]
        {
            ["eval", "classification", "--model", model, .. images, "--baseline", "none", "--merging", "tome", "--r", "2"],
            ["eval", "classification", "--model", model, .. images, "--baseline", "naive", "--bits", "W8A8"],
            ["features", _folder["shapes"], "--model", model, "--output", _folder["tokens.npy"], "--blocks", "0"],
            ["model", "info", model, "--images", _folder["shapes"]],
        })
        {
            var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, words);
            Assert.Equal(2, exitCode);
            Assert.Contains("ResNet, which has no stream of tokens", error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void TheDemoModelTellsWhatIsInAPicture()
    {
        var picture = Directory.GetFiles(Picture(), "*.png", SearchOption.AllDirectories)[0];
        var name = Path.GetFileName(Path.GetDirectoryName(picture))!.Replace('_', ' ');
        string[] labels = [.. new[] { $"a {name}", "a yellow star", "a blue ring", "a red square" }.Distinct()];
        var output = Succeed(["clip", "classify", picture, "--labels", .. labels, "--csv", _folder["labels.csv"]]);
        Assert.Contains("probability %", output, StringComparison.Ordinal);
        Assert.Contains($"{picture}: a {name} (", output, StringComparison.Ordinal);
        var rows = File.ReadAllLines(_folder["labels.csv"])[1..];
        Assert.Equal(labels.Length, rows.Length);
        Assert.Equal(1, rows.Sum(row => double.Parse(row.Split(',')[^1], System.Globalization.CultureInfo.InvariantCulture)), 1e-9);
    }

    [Theory]
    [InlineData("two or more", "a circle")]
    [InlineData("twice", "a circle", "a circle")]
    [InlineData("empty text", "a circle", " ")]
    [InlineData("no {}", "a circle", "a square", "--template", "a photo")]
    public void LabelsThatTellNothingAreRefused(string complaint, params string[] words)
    {
        var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["clip", "classify", "none.png", "--labels", .. words]);
        Assert.Equal(2, exitCode);
        Assert.Contains(complaint, error, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private string Picture()
    {
        Succeed(["data", "make", "shapes", "--out", _folder["picture"], "--split", "test", "--count", "1", "--format", "folders"]);
        return _folder["picture"];
    }

    private static string Succeed(string[] arguments)
    {
        var (exitCode, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, arguments);
        Assert.True(exitCode == 0, error);
        return output;
    }
}
