using System.Text.Json;
using Json.Schema;
using RegCache.Lab.Cli.Reproduction;
using RegCache.Lab.Merging;
using RegCache.Lab.Notebooks;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Reports;

/// <summary>The published numbers: every file follows the schema, every number that is looked up is the published one, broken files are told.</summary>
public sealed class PublishedPapersTests : IDisposable
{
    private static readonly string _folder = Path.Combine(Goldens.RepositoryRoot, "data-manifests", "papers");

    private readonly TemporaryFolder _own = new();

    private static string[] Papers =>
        [.. Directory.GetFiles(_folder, "*.json").Select(file => Path.GetFileName(file)).Where(file => !file.EndsWith(".schema.json", StringComparison.Ordinal))];

    public static TheoryData<string> Files => [.. Papers];

    public void Dispose() => _own.Dispose();

    [Theory]
    [MemberData(nameof(Files))]
    public void EveryFileFollowsTheSchema(string file)
    {
        var schema = JsonSchema.FromText(File.ReadAllText(Path.Combine(_folder, "paper.schema.json")));
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder, file)));
        var results = schema.Evaluate(document.RootElement, new EvaluationOptions { OutputFormat = OutputFormat.List });
        Assert.True(
            results.IsValid,
            string.Join('\n', (results.Details ?? []).SelectMany(detail => (detail.Errors ?? new Dictionary<string, string>()).Select(error => $"{detail.InstanceLocation}: {error.Value}"))));
    }

    [Theory]
    [InlineData("\"run\": \"regcache\",", "", "a table that neither runs nor says why not")]
    [InlineData("\"unit\": \"%\", ", "", "a measure without a unit")]
    [InlineData("\"hand\": \"second\"", "\"hand\": \"third\"", "an unknown hand")]
    [InlineData("\"quantized\": 34.01", "\"quantized\": \"34.01\"", "a number as text")]
    [InlineData("https://arxiv.org", "arxiv.org", "a link without a scheme")]
    public void TheSchemaRefuses(string text, string instead, string what)
    {
        var schema = JsonSchema.FromText(File.ReadAllText(Path.Combine(_folder, "paper.schema.json")));
        var sound = File.ReadAllText(Path.Combine(_folder, "regcache.json"));
        Assert.Contains(text, sound, StringComparison.Ordinal);
        using var document = JsonDocument.Parse(sound.Replace(text, instead, StringComparison.Ordinal));
        Assert.False(schema.Evaluate(document.RootElement).IsValid, what);
    }

    [Fact]
    public void TheKitsFilesAreInTheLibrary()
    {
        Assert.Equal(Papers.Length, PublishedPapers.All.Count);
        Assert.Equal(PublishedPapers.Tables.Names, PublishedPapers.TablesOf(PublishedPapers.Load(_folder)).Names);
    }

    [Theory]
    [InlineData("regcache-imagenet", "CLIP-B/16, W8A8, naive", "both", 59.71)]
    [InlineData("regcache-imagenet", "CLIP-B/16, W4A4, repqvit", "both", 21.50)]
    [InlineData("regcache-imagenet", "CLIP-B/16, W4A4, not named", "gain", 44.51)]
    [InlineData("regcache-ablation", "SigLIP2-B/16, W8A8, naive", "delete_only", 69.06)]
    [InlineData("regcache-alternatives", "CLIP-B/16, W8A8, naive, random prefix", "top1", 54.18)]
    [InlineData("regcache-alternatives", "CLIP-B/16, W8A8, naive, outlier clipping", "top1", 47.29)]
    [InlineData("regcache-own-scale", "DINOv2-B/14, W8A8, naive", "top1", 76.58)]
    [InlineData("regcache-norms", "OpenCLIP-B/16, W8A8, naive", "l_inf_with", 9.64)]
    [InlineData("regcache-ade20k", "SigLIP-B/16, W8A8, naive", "both", 32.46)]
    [InlineData("regcache-vlm", "Qwen3-VL-8B, W4A4, repqvit, GQA", "both", 44.00)]
    [InlineData("regcache-latency", "CLIP-B/16, RTX A6000", "with", 61.27)]
    [InlineData("ptq4vit-imagenet", "ViT-B/384, W6A6, ptq4vit, BasePTQ", "quantized", 46.89)]
    [InlineData("repqvit-imagenet", "DeiT-S, W4A4, repqvit", "quantized", 69.03)]
    [InlineData("tome-attention", "vit-l, tome, r 8, proportional attention on", "top1", 83.51)]
    [InlineData("dfe-lgtm-macs", "vit-b, lgtm, r 16", "gmacs", 10.12)]
    [InlineData("memory-flair", "trained on merged-30M, Flickr30k", "text_r1", 94.7)]
    [InlineData("dynamic-tokens-imagenet", "tiny, 4 registers, 400 epochs, LAMB, 3 GPUs x 512, lr 9e-3", "top5", 87.28)]
    [InlineData("fastclip-scratch", "COCO 82k, epochs 30, COCO_3", "top1", 1.75)]
    [InlineData("drip-flops", "DRIP 4x-16 4+8", "complete", 10.01)]
    [InlineData("drip-laion-26m-15", "10x 4+8", "top5", 59.20)]
    [InlineData("pooling-bpc", "text8, whitespaces", "bpc", 1.133)]
    public void NumbersAreFound(string table, string row, string measure, double value) =>
        Assert.Equal(value, PublishedPapers.Tables.Find(table).Rows.Single(one => one.InWords() == row).Values[measure]);

    [Fact]
    public void EveryTableThatRunsNamesWhatThereIs()
    {
        foreach (var table in PublishedPapers.Tables.Where(table => table.Run is not null))
        {
            var runner = TableRunner.All.Find(table.Run!);
            foreach (var run in runner.Runs(table, table.Rows.Where(row => table.CannotRun(row) is null), onDemo: false))
            {
                runner.Configure(run, new(), (options, _) => options);
                Assert.NotEmpty(runner.Data(run));
                Assert.All(runner.WithoutWeights(run), cell => Assert.InRange(cell.Value, 0.5, 200));
                Assert.True(run.Rows.Select(row => row["bits"]).Distinct().Count() == 1, run.Name);
            }
        }
    }

    [Fact]
    public void RowsOfOneTableDiffer() => Assert.All(
        PublishedPapers.Tables, table => Assert.Equal(table.Rows.Count, table.Rows.Select(row => row.InWords()).Distinct().Count()));

    [Fact]
    public void MeasuredCostsAgreeWithPublishedOnes()
    {
        // The tables are rounded, figures were read to about 0.02; LGTM's on ViT-L are explained by no setting.
        foreach (var table in PublishedPapers.Tables.Where(table => table.Run == "merging"))
        {
            var runner = TableRunner.All.Find("merging");
            foreach (var run in runner.Runs(table, table.Rows.Where(row => table.CannotRun(row) is null), onDemo: false))
            {
                Assert.All(runner.WithoutWeights(run), cell => Assert.InRange(
                    Math.Abs(cell.Value - cell.Row.Values["gmacs"]), 0, (cell.Row["model"], cell.Row["method"]) == ("vit-l", "lgtm") ? 1.6 : 0.07));
            }
        }
    }

    [Fact]
    public void ATableIsAFrame()
    {
        var frame = PublishedPapers.Tables.Find("regcache-imagenet").ToDataFrame();
        Assert.Equal(["model", "bits", "baseline", "float, %", "quantized, %", "both, %", "gain, points", "source"], frame.Columns.Select(column => column.Name));
        Assert.Equal([typeof(string), typeof(string), typeof(string), typeof(double), typeof(double), typeof(double), typeof(double), typeof(string)], frame.Columns.Select(column => column.DataType));
        Assert.Null(frame["float, %"][1]);
    }

    [Theory]
    [InlineData("{", "own.json is no paper file in line 1")]
    [InlineData("[]", "own.json is no paper file")]
    [InlineData("""{"paper": {"name": "P", "title": "T", "link": "https://x"}, "tables": [{"id": "a"}]}""", "own.json is no paper file at $.tables[0]")]
    [InlineData("""{"paper": {"name": "P", "title": "T", "link": "https://x"}, "tables": [TABLE], "extra": 1}""", "own.json is no paper file at $.extra")]
    [InlineData("""{"paper": {"name": "P", "title": "T", "link": "https://x"}, "tables": [TABLE, TABLE]}""", "The table a is there 2 times in the paper files")]
    public void BrokenFilesAreOneSentence(string json, string expected)
    {
        const string table =
            """{"id": "a", "shows": "S.", "source": {"hand": "first", "where": "W"}, "cannot": "not built", "measures": {"top1": {"unit": "%", "what": "W"}}, "rows": [{"of": {"model": "m"}, "values": {"top1": 1}}]}""";
        File.WriteAllText(_own["own.json"], json.Replace("TABLE", table, StringComparison.Ordinal));
        var error = Assert.Throws<UserException>(() => PublishedPapers.TablesOf(PublishedPapers.Load(_own.Root)));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"cannot\": \"not built\"", "\"cannot\": \"not built\", \"run\": \"regcache\"", "table a: give either \"run\"")]
    [InlineData("\"cannot\": \"not built\"", "\"run\": \"regcache\"", "table a: row 1 runs, but \"models\" has no entry \"m\"")]
    [InlineData("{\"top1\": 1}", "{\"top5\": 1}", "table a: row 1 has a value of \"top5\", which is not among the table's measures")]
    public void WhatDoesNotFitTogetherIsOneSentence(string text, string instead, string expected)
    {
        const string paper =
            """{"paper": {"name": "P", "title": "T", "link": "https://x"}, "tables": [{"id": "a", "shows": "S.", "source": {"hand": "first", "where": "W"}, "cannot": "not built", "measures": {"top1": {"unit": "%", "what": "W"}}, "rows": [{"of": {"model": "m"}, "values": {"top1": 1}}]}]}""";
        File.WriteAllText(_own["own.json"], paper);
        Assert.Equal("a", PublishedPapers.Load(_own.Root)[0].Tables[0].Id);
        File.WriteAllText(_own["own.json"], paper.Replace(text, instead, StringComparison.Ordinal));
        Assert.Contains(expected, Assert.Throws<UserException>(() => PublishedPapers.Load(_own.Root)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnEmptyAndAMissingFolderAreOneSentence()
    {
        Assert.Contains("holds no paper file", Assert.Throws<UserException>(() => PublishedPapers.Load(_own.Root)).Message, StringComparison.Ordinal);
        Assert.Contains("--papers", Assert.Throws<UserException>(() => PublishedPapers.Load(_own["nowhere"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MethodsAndBaselinesOfRowsAreTheKits()
    {
        var rows = PublishedPapers.Tables.Where(table => table.Run is not null).SelectMany(table => table.Rows.Where(row => table.CannotRun(row) is null)).ToList();
        Assert.All(rows.Select(row => row["baseline"]).OfType<string>().Distinct(), name => QuantizerFamilies.All.Find(name));
        Assert.All(rows.Select(row => row["method"]).OfType<string>().Where(name => name != "plain").Distinct(), name => MergingMethods.All.Find(name));
    }
}
