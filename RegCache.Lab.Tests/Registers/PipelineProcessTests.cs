using System.Text.Json;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Tests.Registers;

/// <summary>The pipeline as its users call it: a process, files on disk, lines on standard output.</summary>
public sealed class PipelineProcessTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("Category", "Golden")]
    [Trait("Category", "Slow")]
    public void ReportIsTheExpectedOne()
    {
        var (code, output, error) = Pipeline(Demo());
        Assert.True(code == 0, error);
        var report = output.Split('\n').Where(line => line.Contains(" : ", StringComparison.Ordinal) || line.Contains(": ", StringComparison.Ordinal))
            .Select(line => line.Split(':', 2))
            .ToDictionary(parts => parts[0].Trim(), parts => parts[1].Trim());
        Assert.Equal(10, report.Count);
        var expected = JsonDocument.Parse(File.ReadAllText(Goldens.Path("regcache", "config.json"))).RootElement.GetProperty("expected_report");
        string Text(string name) => expected.GetProperty(name).ToString();
        string List(string name) => string.Join(',', expected.GetProperty(name).EnumerateArray());
        Assert.Equal(Text("quantization_sensitive_block_k"), report["quantization-sensitive block k"]);
        Assert.Equal(Text("quantization_sensitive_layer"), report["quantization-sensitive layer"]);
        Assert.Equal(List("prefix_extraction_block_candidates"), report["prefix-extraction block candidates"]);
        Assert.Equal(Text("selected_prefix_extraction_block"), report["selected prefix-extraction block"]);
        Assert.Equal(List("selected_prefix_add_blocks"), report["selected prefix-add blocks"]);
        Assert.Equal(Text("selected_prefix_token_count"), report["selected prefix token count"]);
        Assert.Equal(Text("selected_token_delete_block"), report["selected token-delete block"]);
        Assert.Equal(Text("selected_token_delete_count"), report["selected token-delete count"]);
        Assert.Equal(expected.GetProperty("search_accuracy").GetDouble(), double.Parse(report["search accuracy"]), 0.006);
        var csv = report["final result CSV"];
        Assert.EndsWith(Text("final_result_csv")["result".Length..], csv, StringComparison.Ordinal);
        Assert.Equal(2, File.ReadAllLines(csv).Length);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void AKilledRunGoesOnAndASecondRunRepeatsTheNumbers()
    {
        var arguments = Reduced(Demo());
        var whole = Pipeline(arguments);
        Assert.True(whole.ExitCode == 0, whole.Error);

        var again = Pipeline(arguments);
        Assert.Equal(whole.Output, again.Output);
        Assert.Contains("skipped", again.Error, StringComparison.Ordinal);

        // A run directory with the first stages alone is what a killed run leaves.
        var run = _folder["demo", "run"];
        File.Delete(Path.Combine(run, "stage5.json"));
        File.Delete(Path.Combine(run, "stage6.json"));
        File.WriteAllText(Path.Combine(run, "stage1.json"), File.ReadAllText(Path.Combine(run, "stage1.json"))[..200]);
        var resumed = Pipeline(arguments);
        Assert.Equal(whole.Output, resumed.Output);
        Assert.Contains("stage1.json is damaged or incomplete", resumed.Error, StringComparison.Ordinal);

        // What was scored with other classes is not taken for a result.
        var classifier = arguments[arguments.IndexOf("--classifier") + 1];
        using (var classes = ClassifierOf(classifier))
        using (var turned = new ZeroShotClassifier(classes.Weights.flip(1)))
        {
            turned.Save(classifier);
        }

        var other = Pipeline(arguments);
        Assert.True(other.ExitCode == 0, other.Error);
        Assert.NotEqual(whole.Output, other.Output);
        Assert.All(["stage1", "stage5", "stage6"], stage => Assert.Contains($"{stage}.json was made from other inputs", other.Error, StringComparison.Ordinal));
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void TwoStepSearchAndExtractAndEvaluationAgree()
    {
        var arguments = Reduced(Demo());
        var pipeline = Pipeline([.. arguments, "--block-search", "two-step"]);
        Assert.True(pipeline.ExitCode == 0, pipeline.Error);
        var prefix = Directory.GetFiles(_folder["demo", "run"], "block*.safetensors", SearchOption.AllDirectories).Order().Last();
        string Option(string name) => arguments[arguments.IndexOf(name) + 1];
        string Line(string key) => pipeline.Output.Split('\n').Single(line => line.StartsWith(key, StringComparison.Ordinal)).Split(':')[1].Trim();

        var evaluation = ExternalProcess.Run(
            ExternalProcess.Regcache,
            [
                "eval", "classification", "--model", Option("--model"), "--classifier", Option("--classifier"),
                "--imagenet-val", Option("--imagenet-val"), "--image-order", "name", "--batch", Option("--batch"), "--bits", Option("--bits"),
                "--prefix", prefix, "--prefix-count", Line("selected prefix token count"),
                "--delete-block", Line("selected token-delete block"), "--delete-count", Line("selected token-delete count"),
                "--run-dir", _folder["evaluation"],
            ]);
        Assert.True(evaluation.ExitCode == 0, evaluation.Error);
        var accuracy = File.ReadAllLines(Line("final result CSV"))[^1].Split(',')[16];
        Assert.Contains($"top-1 {double.Parse(accuracy):0.00} %", evaluation.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void DryRunCountsBlockForwardsAndComputesNoStage()
    {
        var (code, output, error) = Pipeline([.. Demo(), "--dry-run"]);
        Assert.True(code == 0, error);
        Assert.Contains("without reuse", output, StringComparison.Ordinal);
        Assert.Contains("ms a block and image", output, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder["demo", "run", "stage1.json"]));
    }

    private static (int ExitCode, string Output, string Error) Pipeline(IEnumerable<string> arguments) =>
        ExternalProcess.Run(ExternalProcess.Regcache, ["pipeline", .. arguments]);

    private static ZeroShotClassifier ClassifierOf(string path)
    {
        using var file = WeightFile.Open(path);
        return ZeroShotClassifier.Load(path, (int)file.Tensors.Single().Shape[0], TorchSharp.torch.CPU);
    }

    private static List<string> Reduced(List<string> arguments)
    {
        arguments[arguments.IndexOf("--max-prefix") + 1] = "2";
        arguments[arguments.IndexOf("--max-delete") + 1] = "2";
        return arguments;
    }

    private List<string> Demo()
    {
        var demo = PlantedModel.Write(_folder["demo"], Goldens.Path("regcache"));
        return [.. demo.PipelineArguments, "--bits", demo.Bits.ToString(), "--run-dir", _folder["demo", "run"]];
    }
}
