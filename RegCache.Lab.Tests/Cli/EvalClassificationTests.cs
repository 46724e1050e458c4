using System.Text.Json;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using TorchSharp;

namespace RegCache.Lab.Tests.Cli;

/// <summary>`regcache eval classification` as its users call it: rows, files, and what a killed run leaves.</summary>
[Trait("Category", "Slow")]
public sealed class EvalClassificationTests : IDisposable
{
    private const string Model = "models/shapes-clip";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("float,naive-w6a6", "--bits", "6")]
    [InlineData("float", "--baseline", "none")]
    [InlineData("float,naive-w6a6,naive-w6a6+delete", "--bits", "6", "--delete-block", "2", "--delete-count", "3")]
    [InlineData("float,naive-w6a6,naive-w6a6+prefix", "--bits", "6", "--prefix", "{prefix}")]
    [InlineData(
        "float,naive-w6a6,naive-w6a6+prefix,naive-w6a6+delete,naive-w6a6+prefix+delete",
        "--bits", "6", "--prefix", "{prefix}", "--delete-block", "2", "--delete-count", "3")]
    [InlineData("float,float+delete", "--baseline", "none", "--delete-block", "2", "--delete-count", "3")]
    [InlineData("float,float+dfe", "--baseline", "none", "--merging", "dfe", "--r", "4", "--dense", "3")]
    [InlineData("float,naive-w8a8,float+tome,naive-w8a8+tome", "--merging", "tome", "--r", "4", "--execution", "simulated")]
    public void OnlyWhatWasAskedForRuns(string plans, params string[] arguments)
    {
        var prefix = _folder["prefix.safetensors"];
        WritePrefix(prefix);
        var output = Run("run", 24, [.. arguments.Select(argument => argument.Replace("{prefix}", prefix, StringComparison.Ordinal))]);
        Assert.Equal(plans.Split(','), Rows("run").Select(row => row.Plan));
        var head = output.Split('\n').Single(line => line.Contains("top-1 %", StringComparison.Ordinal));
        Assert.Equal(plans.Contains("prefix", StringComparison.Ordinal), head.Contains("prefix", StringComparison.Ordinal));
        Assert.Equal(plans.Contains("delete", StringComparison.Ordinal), head.Contains("deleted", StringComparison.Ordinal));
        Assert.Equal(arguments.Contains("--merging"), head.Contains("merging", StringComparison.Ordinal));
        Assert.Equal(
            Rows("run").Select(row => row.Plan).SelectMany(plan => Enumerable.Range(0, 48).Select(index => (plan, index))),
            CsvTable.Read<ClassRow>(_folder["run", "classes.csv"]).Select(row => (row.Plan, row.Class)));
    }

    [Fact]
    public void NumbersAgreeAcrossTableFilesAndLibrary()
    {
        var output = Run("run", 96, "--bits", "6", "--per-class", "--format", "clip-benchmark", "--dataset-name", "shapes", "--language", "en", "--pretrained", "kit");
        var rows = Rows("run");
        using var experiment = Experiment.Open(new() { ValidationCount = 96, SearchCount = 1 });
        var expected = experiment.Evaluate(RegCache.Lab.Encoders.EncoderPlan.Plain(experiment.Tower.Blocks.Count))[0];
        Assert.Equal(expected.Accuracy, rows[0].Top1, 1e-9);
        Assert.Equal(expected.AccuracyTop5, rows[0].Top5!.Value, 1e-9);
        Assert.InRange(rows[0].MeanPerClassRecall, 80, 100);
        Assert.InRange(rows[0].CalibrationError, 0, 100);
        Assert.True(rows[1].FeatureMse > 0);
        Assert.Contains($"{rows[1].CalibrationError:0.00}", output, StringComparison.Ordinal);
        Assert.Contains("the model's logit scale", output, StringComparison.Ordinal);
        Assert.Contains("yellow cross", output, StringComparison.Ordinal);

        var classes = CsvTable.Read<ClassRow>(_folder["run", "classes.csv"]).Where(row => row.Plan == "float" && row.Images > 0).ToList();
        Assert.Equal(rows[0].MeanPerClassRecall, classes.Average(row => row.Recall!.Value), 1e-9);

        var other = ClipBenchmarkResult.Read(_folder["run", "clip_benchmark_naive-w6a6.json"]);
        Assert.Equal(("shapes", "shapes-clip+naive-w6a6", "kit", "zeroshot_classification", "en"), (other.Dataset, other.Model, other.Pretrained, other.Task, other.Language));
        Assert.Equal(["acc1", "acc5", "mean_per_class_recall"], other.Metrics.Keys);
        Assert.Equal(rows[1].Top1 / 100, other.Metrics["acc1"]!.Value, 1e-12);
        using var json = JsonDocument.Parse(File.ReadAllText(_folder["run", "clip_benchmark_float.json"]));
        Assert.Equal(["dataset", "model", "pretrained", "task", "metrics", "language"], json.RootElement.EnumerateObject().Select(property => property.Name));

        using var result = JsonDocument.Parse(File.ReadAllText(_folder["run", "result.json"]));
        var stored = result.RootElement.GetProperty("result");
        Assert.Equal(rows[1].CalibrationError, stored.GetProperty("rows")[1].GetProperty("calibration_error").GetDouble());
        Assert.Equal(15, stored.GetProperty("bins").GetProperty("float").GetArrayLength());
    }

    [Theory]
    [InlineData("--dataset-name goes into the files of --format", "--dataset-name", "x")]
    [InlineData("--format must be clip-benchmark", "--format", "csv")]
    [InlineData("--bits is for a quantizer", "--baseline", "none", "--bits", "4")]
    [InlineData("must be exactly one of none, naive, ptq4vit, repqvit", "--baseline", "off")]
    [InlineData("--dense belongs to dfe, not to tome", "--merging", "tome", "--r", "4", "--dense", "2")]
    [InlineData("--r 4: say by which method", "--r", "4")]
    [InlineData("--prefix-count 2: say which prefix", "--prefix-count", "2")]
    public void ImpossibleRequestsAreOneSentence(string expected, params string[] arguments)
    {
        var (code, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, Arguments("run", 24, arguments));
        Assert.True(code == 2, $"exit code {code}: {error}");
        Assert.Contains(expected, error.TrimEnd('\n').Split('\n')[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void ADryRunNamesThePlansAndComputesNothing()
    {
        var output = Run("run", 24, "--baseline", "repqvit", "--merging", "tome", "--r", "4", "--dry-run");
        Assert.Contains("4 plans on 24 images: float, repqvit-w8a8, float+tome, repqvit-w8a8+tome", output, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder["run", "classification.csv"]));
    }

    [Fact]
    public void AnEvaluationThatIsKilledAtRandomMomentsEndsWithTheSameNumbers()
    {
        const int images = 240;
        string[] arguments = ["--bits", "6", "--delete-block", "2", "--delete-count", "3", "--batch", "4", "--checkpoint-seconds", "0", "--threads", "1"];
        Run("whole", images, arguments);
        KilledRuns.AssertSameResult(Arguments("killed", images, arguments), _folder["killed"], "classification.partial.json", 7, () =>
        {
            foreach (var file in new[] { "classification.csv", "classes.csv" })
            {
                Assert.Equal(File.ReadAllText(_folder["whole", file]), File.ReadAllText(_folder["killed", file]));
            }
        });
    }

    private static void WritePrefix(string path)
    {
        using var scope = torch.NewDisposeScope();
        torch.Tensor Rows() => torch.ones(3, 96);
        PrefixCacheFile.Save(
            path, new(3, [new OutlierToken(1, 0, 1)], Rows(), Rows(), Rows()), new("shapes-clip", "kit", "", 3, 1, ScoreTensor.BlockInput, 1, ""));
    }

    private string Run(string run, int images, params string[] arguments)
    {
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, Arguments(run, images, arguments));
        Assert.True(code == 0, error);
        return output;
    }

    private string[] Arguments(string run, int images, string[] arguments) =>
    [
        "eval", "classification", "--model", Model, "--prompts", $"{Model}/prompts.json", "--imagenet-val", $"shapes@test:{images}",
        "--run-dir", _folder[run], .. arguments,
    ];

    private IReadOnlyList<ClassificationRow> Rows(string run) => CsvTable.Read<ClassificationRow>(_folder[run, "classification.csv"]);
}
