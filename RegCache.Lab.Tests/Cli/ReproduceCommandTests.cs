using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Data.Retrieval;

namespace RegCache.Lab.Tests.Cli;

/// <summary>`reproduce` and `report` as their users call them: processes, files on disk, exit codes.</summary>
[Trait("Category", "Slow")]
public sealed class ReproduceCommandTests : IDisposable
{
    private static readonly (string, string?)[] _nothingSet = [("MODEL_ROOT", null), ("DATA_ROOT", null), ("IMAGENET_VAL", null), ("TRAIN_SAMPLE", null), ("CALIB", null)];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void WithoutATableItListsAll()
    {
        var (code, output, error) = Reproduce();
        Assert.True(code == 0, error);
        var flat = Flat(output);
        Assert.All(PublishedPapers.Tables.Names, name => Assert.Contains(name, flat, StringComparison.Ordinal));
        Assert.Contains("the kit cannot run this table yet", flat, StringComparison.Ordinal);
        Assert.Contains("2 of 5 rows, once weights", flat, StringComparison.Ordinal);
    }

    [Fact]
    public void AnUnknownTableGetsTheNearestNames()
    {
        var (code, output, error) = Reproduce("regcache-imagnet");
        Assert.Equal((2, ""), (code, output));
        Assert.StartsWith("There is no table 'regcache-imagnet'; the nearest names are regcache-imagenet, ", error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }

    [Fact]
    public void WhatIsMissingIsToldWithItsPlaceAndTheCommand()
    {
        var (code, output, error) = Reproduce("regcache-imagenet", "--run-dir", _folder["runs"]);
        Assert.True(code == 2, output + error);
        foreach (var expected in new[]
        {
            "put them at $MODEL_ROOT/ViT-B-16-openai, as a folder or as a file that ends in .safetensors, .pt, .pth or .bin",
            "put them at $MODEL_ROOT/imagenet-prompts.json, or give --prompts FILE",
            "IMAGENET_VAL (validation images, with labels) is not set",
            "TRAIN_SAMPLE (",
            "what it would run: regcache pipeline --model $MODEL_ROOT/ViT-B-16-openai --pretrained openai --prompts $MODEL_ROOT/imagenet-prompts.json --baseline naive --bits W8A8",
            "CALIB (",
            "the kit cannot load SigLIP yet",
            "does not name the quantizer",
        })
        {
            Assert.Contains(expected, output, StringComparison.Ordinal);
        }

        Assert.Contains("59.71", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["runs"]));
    }

    [Fact]
    public void ATableOfASystemThatIsNotBuiltSaysSo()
    {
        var (code, output, _) = Reproduce("pooling-bpc", "--run-dir", _folder["runs"]);
        Assert.Equal(2, code);
        Assert.Contains("The kit cannot run this table yet: dynamic pooling is not built yet.", output, StringComparison.Ordinal);
        Assert.Contains("1.133", output, StringComparison.Ordinal);
    }

    [Fact]
    public void CostsNeedNeitherWeightsNorData()
    {
        var (code, output, error) = Reproduce("dfe-lgtm-macs", "--only", "vit-b, lgtm", "--run-dir", _folder["runs"]);
        Assert.True(code == 0, output + error);
        var rows = CsvTable.Read<PaperComparison>(_folder["runs", "dfe-lgtm-macs", "table.csv"]);
        var costs = rows.Where(row => row.Row.StartsWith("vit-b, lgtm", StringComparison.Ordinal) && row.Measure == "gmacs").ToList();
        Assert.Equal(3, costs.Count);
        Assert.All(costs, row => Assert.InRange(row.Difference!.Value, -0.03, 0.03));
        Assert.All(rows.Where(row => row.Measure == "top1"), row => Assert.Null(row.Measured));
        Assert.Contains("--only leaves it out", rows.Single(row => row.Row == "vit-s, plain").NotRun, StringComparison.Ordinal);
    }

    [Fact]
    public void ABrokenPaperFileIsOneSentence()
    {
        Directory.CreateDirectory(_folder["papers"]);
        File.WriteAllText(_folder["papers", "mine.json"], "{ \"paper\": 1 }");
        var (code, output, error) = Reproduce("--papers", _folder["papers"]);
        Assert.Equal((2, ""), (code, output));
        Assert.Contains("mine.json is no paper file at $.paper", error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }

    [Fact]
    public void OnlyThatMatchesNothingIsRefused() =>
        Assert.Contains("No row of regcache-imagenet contains", Reproduce("regcache-imagenet", "--only", "BERT").Error, StringComparison.Ordinal);

    [Fact]
    public void ADryRunRunsNothing()
    {
        var (code, output, error) = Reproduce("regcache-imagenet", "--shapes", "--dry-run", "--run-dir", _folder["runs"]);
        Assert.True(code == 0, error);
        Assert.Contains("would run", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["runs"]));
    }

    [Fact]
    public void TheDemoModelRunsTheTableAndSaysThatItIsTheDemoModel()
    {
        string[] arguments = ["regcache-ablation", "--shapes", "--run-dir", _folder["runs"]];
        var (code, output, error) = Reproduce(arguments);
        Assert.True(code == 0, output + error);
        Assert.StartsWith("NOT the paper's models and data: the demo model shapes-clip", output, StringComparison.Ordinal);
        Assert.Contains("shapes-clip", Flat(output), StringComparison.Ordinal);
        var folder = _folder["runs", "regcache-ablation_shapes"];
        var rows = CsvTable.Read<PaperComparison>(Path.Combine(folder, "table.csv"));
        Assert.Equal(8, rows.Count);
        Assert.All(rows, row => Assert.Equal("shapes-clip, generated pictures", row.MeasuredOn));
        double Measured(string measure) => rows.First(row => row.Measure == measure).Measured!.Value;
        Assert.True(Measured("both") > Measured("quantized") + 15, output);
        Assert.All(rows, row => Assert.Equal(row.Measured - row.Published, row.Difference));
        Assert.Contains("the demo model shapes-clip", File.ReadAllText(Path.Combine(folder, "table.html")), StringComparison.Ordinal);

        // A second run finds everything done; one whose last stage is cut off ends with the same numbers.
        var again = Reproduce(arguments);
        Assert.Equal(output, again.Output);
        Assert.Contains("stage5: done before", again.Error, StringComparison.Ordinal);
        var run = Directory.GetDirectories(_folder["runs"], "shapes-clip_*").Single();
        File.WriteAllText(Path.Combine(run, "stage6.json"), File.ReadAllText(Path.Combine(run, "stage6.json"))[..100]);
        var resumed = Reproduce(arguments);
        Assert.Equal(output, resumed.Output);
        Assert.Contains("stage5: done before", resumed.Error, StringComparison.Ordinal);
        Assert.Contains("stage6.json is damaged", resumed.Error, StringComparison.Ordinal);

        // The run and the table are both results that `report` shows; they have nothing in common.
        var report = Run("report", run, folder, _folder["nowhere"], "--csv", _folder["numbers.csv"], "--html", _folder["report.html"]);
        Assert.True(report.ExitCode == 2, report.Error);
        Assert.Contains("scores.both.accuracy", report.Output, StringComparison.Ordinal);
        Assert.Contains("results of another kind than those of", report.Output, StringComparison.Ordinal);
        Assert.Contains($"There is no run directory {_folder["nowhere"]}", report.Output, StringComparison.Ordinal);
        var numbers = CsvTable.Read<RunNumber>(_folder["numbers.csv"]);
        Assert.Contains(numbers, number => number.Name == "scores.both.accuracy" && Math.Abs(number.Value - Measured("both")) < 1e-9);
        Assert.Contains("Runs compared", File.ReadAllText(_folder["report.html"]), StringComparison.Ordinal);
    }

    [Fact]
    public void PublishedWeightsAndImagesAreFoundWhereTheyAreToldToLie()
    {
        ModelAs("ViT-B-32-openai");
        File.Copy(Path.Combine(ModelFolder.FindDemo(), "prompts.json"), _folder["models", "imagenet-prompts.json"]);
        ShapesExport.Write(ShapesSet.Generate(ShapesSplit.Test, 96), _folder["data"], ShapesFormat.Folders, SilentProgress.Instance, CancellationToken.None);
        var (code, output, error) = ExternalProcess.Run(
            ExternalProcess.Regcache,
            ["reproduce", "clip-imagenet", "--run-dir", _folder["runs"]],
            [.. _nothingSet[1..], ("MODEL_ROOT", _folder["models"]), ("IMAGENET_VAL", _folder["data", "test"])]);
        Assert.True(code == 0, output + error);
        var rows = CsvTable.Read<PaperComparison>(_folder["runs", "clip-imagenet", "table.csv"]);
        var measured = Assert.Single(rows, row => row.Measured is not null);
        Assert.Equal(("ViT-B-32", 63.32), (measured.Row, measured.Published));
        Assert.EndsWith(", 96 images", measured.MeasuredOn, StringComparison.Ordinal);
        Assert.InRange(measured.Measured!.Value, 50, 100);
        Assert.Contains($"put them at {_folder["models", "ViT-L-14-openai"]}, as a folder", output, StringComparison.Ordinal);
        Assert.DoesNotContain("NOT the paper's", output, StringComparison.Ordinal);
    }

    [Fact]
    public void MergingTablesRunOnTheDemoModel()
    {
        var (code, output, error) = Reproduce("tome-methods", "--shapes", "--speed", "--batch", "16", "--run-dir", _folder["runs"]);
        Assert.True(code == 0, output + error);
        var rows = CsvTable.Read<PaperComparison>(_folder["runs", "tome-methods_shapes", "table.csv"]);
        Assert.All(rows.Where(row => row.Row.Contains("pruning") || row.Row.Contains("tome")), row => Assert.NotNull(row.Measured));
        Assert.All(rows.Where(row => row.Row.Contains("k-means")), row => Assert.Equal("k-means is not among the kit's merging methods", row.NotRun));
    }

    [Fact]
    public void RetrievalRunsOnTheDemoModel()
    {
        var (code, output, error) = Reproduce("clip-retrieval", "--shapes", "--run-dir", _folder["runs"]);
        Assert.True(code == 0, output + error);
        var rows = CsvTable.Read<PaperComparison>(_folder["runs", "clip-retrieval_shapes", "table.csv"]);
        Assert.Equal(8 * 6, rows.Count);
        Assert.All(rows, row => Assert.Equal("shapes-clip, generated pictures", row.MeasuredOn));
        // One run answers all rows, with the numbers of the library.
        Assert.Single(Directory.GetDirectories(_folder["runs"], "shapes-clip*"));
        using var set = RetrievalShapes.Entry.Open();
        using var experiment = Experiment.Open(new() { WithoutImages = true });
        AssertAre(rows.Where(row => row.Row == "ViT-L-14, MS-COCO"), RetrievalEvaluation.Run(experiment, set));
    }

    [Fact]
    public void RetrievalSetsAreFoundWhereVariablesSay()
    {
        ModelAs("ViT-B-16-openai");
        RetrievalLayouts.All["karpathy"](_folder["coco"], 12);
        string[] arguments = ["reproduce", "clip-retrieval", "--only", "ViT-B-16,", "--run-dir", _folder["runs"]];
        (string, string?)[] variables = [.. _nothingSet[1..], ("MODEL_ROOT", _folder["models"]), ("FLICKR30K_DATA_ROOT", null)];
        var missing = ExternalProcess.Run(ExternalProcess.Regcache, arguments, [.. variables, ("COCO_DATA_ROOT", _folder["nowhere"])]);
        Assert.True(missing.ExitCode == 2, missing.Error);
        Assert.Contains("FLICKR30K_DATA_ROOT (Flickr30k) is not set: set it to the folder of Flickr30k: flickr30k_test.json", missing.Output, StringComparison.Ordinal);
        Assert.Contains($"COCO_DATA_ROOT (MS-COCO) names {_folder["nowhere"]}, which does not exist: set it to", missing.Output, StringComparison.Ordinal);
        Assert.Contains(
            $"what it would run: regcache eval retrieval --model {_folder["models", "ViT-B-16-openai"]} --pretrained openai --dataset karpathy --baseline none\n",
            missing.Output,
            StringComparison.Ordinal);

        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, arguments, [.. variables, ("COCO_DATA_ROOT", _folder["coco"])]);
        Assert.True(code == 0, output + error);
        var rows = CsvTable.Read<PaperComparison>(_folder["runs", "clip-retrieval", "table.csv"]).Where(row => row.Measured is not null).ToList();
        using var set = KarpathySplits.Entry.Open(_folder["coco"]);
        using var experiment = Experiment.Open(new() { WithoutImages = true });
        var expected = RetrievalEvaluation.Run(experiment, set);
        AssertAre(rows, expected);
        var on = $"ViT-B-16-openai, {expected.ImageToText.Queries} images and {expected.TextToImage.Queries} captions";
        Assert.All(rows, row => Assert.Equal(("ViT-B-16, MS-COCO", on), (row.Row, row.MeasuredOn)));
        Assert.Contains("the folder of Flickr30k", output, StringComparison.Ordinal);
        var result = File.ReadAllText(_folder["runs", "clip-retrieval", "result.json"]);
        Assert.Contains("dataset_coco.json", result, StringComparison.Ordinal);
    }

    [Fact]
    public void QuantizersRunOnTheDemoModel()
    {
        var (code, output, error) = Reproduce("ptq4vit-ablation", "--shapes", "--only", "W8A8, ptq4vit, no Hessian", "--run-dir", _folder["runs"]);
        Assert.True(code == 0, output + error);
        var row = CsvTable.Read<PaperComparison>(_folder["runs", "ptq4vit-ablation_shapes", "table.csv"]).Single(row => row.Measured is not null);
        Assert.InRange(row.Measured!.Value, 10, 100);
        Assert.Equal(83.90, row.Published);
    }

    // Recalls are looked up by their direction: image_r1 finds images.
    private static void AssertAre(IEnumerable<PaperComparison> rows, RetrievalResult expected) => Assert.Equal(
        [
            ("image_r1", expected.TextToImage.RecallAt1), ("image_r5", expected.TextToImage.RecallAt5), ("image_r10", expected.TextToImage.RecallAt10),
            ("text_r1", expected.ImageToText.RecallAt1), ("text_r5", expected.ImageToText.RecallAt5), ("text_r10", expected.ImageToText.RecallAt10),
        ],
        rows.Select(row => (row.Measure, row.Measured!.Value)));

    private static (int ExitCode, string Output, string Error) Reproduce(params string[] arguments) => Run(["reproduce", .. arguments]);

    private static (int ExitCode, string Output, string Error) Run(params string[] arguments) =>
        ExternalProcess.Run(ExternalProcess.Regcache, arguments, _nothingSet);

    // The demo model stands where published weights would lie.
    private void ModelAs(string name)
    {
        Directory.CreateDirectory(_folder["models", name]);
        foreach (var file in Directory.GetFiles(ModelFolder.FindDemo()))
        {
            File.Copy(file, _folder["models", name, Path.GetFileName(file)]);
        }
    }

    // The text of a printed table, column by column, for its cells are wrapped.
    private static string Flat(string output)
    {
        var lines = output.Split('\n').Where(line => line.StartsWith('│')).Select(line => line.Split('│', StringSplitOptions.TrimEntries)).ToList();
        return string.Join('\n', Enumerable.Range(0, lines[0].Length).Select(column => string.Join(' ', lines.Select(line => line[column]).Where(cell => cell.Length > 0))));
    }
}
