using System.Text.Json;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Data.Retrieval;

namespace RegCache.Lab.Tests.Cli;

/// <summary>`regcache eval retrieval` as its users call it: tables, files, what is left out, and what a killed run leaves.</summary>
[Trait("Category", "Slow")]
public sealed class EvalRetrievalTests : IDisposable
{
    private const string Model = "models/shapes-clip";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void GeneratedPicturesNeedNothingElse()
    {
        var output = Run("run", "--dataset", "shapes", "--split", "validation", "--baseline", "none");
        var row = Assert.Single(Rows("run"));
        Assert.Equal(("shapes", "validation", "float", "float", 960, 960), (row.Dataset, row.Split, row.Plan, row.Baseline, row.NImages, row.NCaptions));
        Assert.True(row.T2iR10 > 50, $"{row}");
        Assert.Contains($"text to image: R@1 {row.T2iR1:0.00} %", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("coco")]
    [InlineData("docci")]
    [InlineData("iiw-long")]
    public void SetsInTheirLayoutsAreMeasured(string dataset)
    {
        RetrievalLayouts.All[dataset](_folder["data"], 24);
        var output = Run(
            "run", "--dataset", dataset, "--root", _folder["data"], "--model", Model, "--bits", "6", "--delete-block", "2", "--delete-count", "3",
            "--merging", "tome", "--r", "4", "--format", "clip-benchmark", "--pretrained", "kit");
        var rows = Rows("run");
        Assert.Equal(
            ["float", "naive-w6a6", "naive-w6a6+delete", "float+tome", "naive-w6a6+tome", "naive-w6a6+delete+tome"], rows.Select(row => row.Plan));
        Assert.All(rows, row => Assert.Equal((24, dataset == "iiw-long" ? 24 : 48), (row.NImages, row.NCaptions)));
        Assert.InRange(rows[0].I2tR1, 60, 100);
        Assert.Contains($"{rows[1].I2tMeanRank:0.00}", output, StringComparison.Ordinal);

        // The library gives the same.
        using var set = RetrievalFormats.All.Find(dataset).Open(_folder["data"]);
        using var experiment = Experiment.Open(new() { WithoutImages = true });
        var expected = RetrievalEvaluation.Run(experiment, set);
        Assert.Equal(expected.ImageToText.RecallAt1, rows[0].I2tR1, 1e-9);
        Assert.Equal(expected.TextToImage.MeanRank, rows[0].T2iMeanRank, 1e-9);

        var result = JsonDocument.Parse(File.ReadAllText(_folder["run", "result.json"])).RootElement;
        var name = RetrievalFormats.All.Find(dataset).MetricName;
        var metrics = result.GetProperty("result").GetProperty("metrics").GetProperty("float");
        Assert.Equal(rows[0].T2iR5 / 100, metrics.GetProperty($"retrieval_{name}_text_to_image_R@5").GetDouble(), 1e-12);
        Assert.Equal(13, metrics.EnumerateObject().Count());

        var benchmark = ClipBenchmarkResult.Read(_folder["run", "clip_benchmark_float.json"]);
        Assert.Equal(("zeroshot_retrieval", "shapes-clip", "kit", "en"), (benchmark.Task, benchmark.Model, benchmark.Pretrained, benchmark.Language));
        Assert.Equal(dataset == "coco" ? "mscoco_captions2017" : dataset, benchmark.Dataset);
        Assert.Equal(rows[0].T2iR5 / 100, benchmark.Metrics["image_retrieval_recall@5"]!.Value, 1e-12);
        Assert.Equal(rows[0].I2tR5 / 100, benchmark.Metrics["text_retrieval_recall@5"]!.Value, 1e-12);
    }

    [Fact]
    public void TheFolderAndTheQuantizerMayComeFromTheEnvironment()
    {
        RetrievalLayouts.All["coco"](_folder["data"], 8);
        var (code, _, error) = ExternalProcess.Run(
            ExternalProcess.Regcache,
            ["eval", "retrieval", "--model", Model, "--calib", "shapes@calibration:64", "--prompts", $"{Model}/prompts.json", "--run-dir", _folder["run"], "--calib-size", "32"],
            ("COCO_DATA_ROOT", _folder["data"]), ("BASELINE", "repqvit"));
        Assert.True(code == 0, error);
        Assert.Equal(["float", "repqvit-w8a8"], Rows("run").Select(row => row.Plan));
    }

    [Theory]
    [InlineData("coco", "coco", "data", "retrieval")]
    [InlineData("webdataset", "webdataset", "data/retrieval-{000000..000000}.tar", "all")]
    public void SetsThatTheKitWritesAreMeasured(string format, string dataset, string root, string split)
    {
        var written = ExternalProcess.Run(
            ExternalProcess.Regcache, ["data", "make", "shapes", "--out", _folder["data"], "--split", "retrieval", "--count", "40", "--format", format]);
        Assert.True(written.ExitCode == 0, written.Error);
        Run("run", "--dataset", dataset, "--root", Path.Combine(_folder.Root, root), "--split", split, "--model", Model, "--baseline", "none");
        Run("same", "--dataset", "shapes", "--baseline", "none");
        var row = Assert.Single(Rows("run"));
        Assert.Equal((40, 40), (row.NImages, row.NCaptions));
        Assert.True(row.T2iR1 >= Rows("same")[0].T2iR1, "fewer pictures are no harder");
    }

    [Fact]
    public void FeaturesAreKeptAndUsedAgain()
    {
        RetrievalLayouts.All["flickr30k"](_folder["data"], 8);
        string[] arguments = ["--dataset", "flickr30k", "--root", _folder["data"], "--model", Model, "--bits", "6"];
        Run("run", arguments);
        var table = File.ReadAllText(_folder["run", "retrieval.csv"]);
        var (_, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["eval", "retrieval", .. arguments, "--run-dir", _folder["run"]]);
        Assert.Contains("images: computed before", error, StringComparison.Ordinal);
        Assert.Contains("captions: computed before", error, StringComparison.Ordinal);
        Assert.Equal(table, File.ReadAllText(_folder["run", "retrieval.csv"]));
        Assert.Equal(3, Directory.GetFiles(_folder["run", "features"]).Length);
    }

    [Fact]
    public void BadImagesAreLeftOutWithTheirCaptions()
    {
        RetrievalLayouts.All["coco"](_folder["data"], 12);
        var images = Directory.GetFiles(_folder["data", "images", "val2017"]).Order().ToArray();
        File.Delete(images[4]);
        File.WriteAllText(images[7], "no image");
        string[] arguments = ["--root", _folder["data"], "--model", Model, "--baseline", "none", "--batch", "2"];
        var refused = ExternalProcess.Run(ExternalProcess.Regcache, ["eval", "retrieval", .. arguments, "--run-dir", _folder["run"]]);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("(1 of 12 images are missing)", refused.Error, StringComparison.Ordinal);
        foreach (var _ in new[] { "computed", "kept" })
        {
            var (code, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["eval", "retrieval", .. arguments, "--skip-bad-images", "--run-dir", _folder["run"]]);
            Assert.True(code == 0, error);
            Assert.Matches("2 unreadable images (were|are) left out", error);
            var row = Assert.Single(Rows("run"));
            // Images have one, two and three captions by turns.
            Assert.Equal((10, 24 - 2 - 2), (row.NImages, row.NCaptions));
        }
    }

    [Theory]
    [InlineData("COCO_DATA_ROOT (MS-COCO) is not set: set it or give --root FOLDER", "--model", Model)]
    [InlineData("The retrieval set 'cocoo' is unknown", "--dataset", "cocoo")]
    [InlineData("The set shapes has no split 'dev'", "--dataset", "shapes", "--split", "dev")]
    [InlineData("Say which model to measure on coco (--model PATH)", "--dataset", "coco", "--root", "/tmp")]
    [InlineData("is unknown: it must be exactly one of", "--dataset", "shapes", "--baseline", "best")]
    public void MistakesAreOneSentence(string expected, params string[] arguments)
    {
        var (code, _, error) = ExternalProcess.Run(
            ExternalProcess.Regcache, ["eval", "retrieval", .. arguments, "--run-dir", _folder["run"]], ("COCO_DATA_ROOT", null));
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
    }

    [Fact]
    public void ADryRunComputesNothing()
    {
        var output = Run("run", "--dataset", "shapes", "--bits", "6", "--dry-run");
        Assert.Contains("2 plans on 500 image-text pairs: float, naive-w6a6; 12 block forwards an image", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["run", "features"]));
    }

    [Fact]
    public void ARunThatIsKilledAtRandomMomentsEndsWithTheSameNumbers()
    {
        RetrievalLayouts.All["coco"](_folder["data"], 96);
        string[] arguments =
        [
            "--root", _folder["data"], "--model", Model, "--bits", "6", "--delete-block", "2", "--delete-count", "3", "--batch", "4",
            "--checkpoint-seconds", "0", "--threads", "1",
        ];
        Run("whole", arguments);
        KilledRuns.AssertSameResult(["eval", "retrieval", .. arguments, "--run-dir", _folder["killed"]], _folder["killed"], "*.part*.safetensors", 5, () =>
        {
            Assert.Equal(File.ReadAllText(_folder["whole", "retrieval.csv"]), File.ReadAllText(_folder["killed", "retrieval.csv"]));
            Assert.Equal(Features("whole"), Features("killed"));
        });
    }

    private string[] Features(string run) =>
        [.. Directory.GetFiles(_folder[run, "features"]).Order().Select(path => $"{Path.GetFileName(path)} {ContentHash.OfFile(path)}")];

    private string Run(string run, params string[] arguments)
    {
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["eval", "retrieval", .. arguments, "--run-dir", _folder[run]]);
        Assert.True(code == 0, error);
        return output;
    }

    private IReadOnlyList<RetrievalRow> Rows(string run) => CsvTable.Read<RetrievalRow>(_folder[run, "retrieval.csv"]);
}
