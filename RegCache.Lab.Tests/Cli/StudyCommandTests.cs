using System.Globalization;
using System.Text.Json;
using CsvHelper;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Tests.Cli;

/// <summary>The commands `extract`, `study ranges` and `study merging-outliers`, on the demo model and a few generated images.</summary>
public sealed class StudyCommandTests(StudyCommandTests.Extraction extraction) : IClassFixture<StudyCommandTests.Extraction>
{
    private const int Blocks = 6;
    private const int Layers = 4;

    [Fact]
    public void ExtractFindsTheSensitiveBlockAndItsPrefixes()
    {
        Assert.Contains("quantization-sensitive block k        : 2", extraction.Output, StringComparison.Ordinal);
        var prefixes = Directory.GetFiles(Path.GetDirectoryName(extraction.Prefix)!, "block*.safetensors").Order().Select(Path.GetFileName);
        Assert.Equal(["block00.safetensors", "block01.safetensors", "block02.safetensors"], prefixes);
        using var cache = PrefixCache.Load(extraction.Prefix);
        Assert.Equal((2, (long)Blocks - 2), (cache.ExtractionBlock, cache.Keys.shape[0]));
        Assert.True(File.Exists(extraction.Folder["extract", "stage1.json"]));
        Assert.False(File.Exists(extraction.Folder["extract", "stage5.json"]));
    }

    [Fact]
    public void RangesAreMeasuredWithAndWithoutRegCache()
    {
        var output = extraction.Run("study ranges", "ranges", [.. extraction.Setting, "--all-bits", "W8A8,W6A6", "--images", "16"]);
        Assert.Contains("bits gained", output, StringComparison.Ordinal);
        Assert.Contains("is as precise as", output, StringComparison.Ordinal);
        var rows = Table("ranges", "ranges.csv");
        Assert.Equal(3 * 2 * Blocks * Layers, rows.Count);

        // One huge value at the input of mlp.c_proj of block 2, which deletion takes away before that block.
        double Largest(string registers) => Number(rows.Single(row =>
            row["bits"] == "float" && row["registers"] == registers && row["block"] == "2" && row["layer"] == "mlp.c_proj")["l_inf"]);
        Assert.InRange(Largest("False"), 1000, 2000);
        Assert.InRange(Largest("True"), 0, 20);

        // Two bits are worth 12 dB, where the range is all that quantization changes.
        double Precision(string bits, string layer, string registers) => Number(rows.Single(row =>
            row["bits"] == bits && row["registers"] == registers && row["block"] == "0" && row["layer"] == layer)["token_sqnr"]);
        Assert.InRange(Precision("W8A8", "attn.in_proj", "False") - Precision("W6A6", "attn.in_proj", "False"), 11, 13);
        Assert.Contains("All layers", File.ReadAllText(extraction.Folder["ranges", "ranges.html"]), StringComparison.Ordinal);
        Assert.Equal(rows.Count, Result("ranges").GetProperty("rows").GetArrayLength());
    }

    [Fact]
    public void RangesNeedASettingToCompareWith()
    {
        var (code, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["study", "ranges", .. extraction.Model, "--run-dir", extraction.Folder["none"]]);
        Assert.Equal(2, code);
        Assert.Contains("Say which RegCache setting to compare with", error, StringComparison.Ordinal);
    }

    [Fact]
    public void MergingIsStudiedWithEveryTreatmentOfOutliers()
    {
        extraction.Run("study merging-outliers", "outliers", [.. extraction.Setting, "--r", "4", "--all-bits", "W8A8"]);
        var rows = Table("outliers", "outliers.csv");
        string[] treatments = ["none", "merge", "protect", "last", "delete"];
        Assert.Equal(
            from bits in new[] { "float", "W8A8" } from registers in new[] { "False", "True" } from treatment in treatments select (bits, registers, treatment),
            rows.Select(row => (row["bits"], row["registers"], row["outliers"])));
        double Of(string column, string treatment, string bits = "float") => Number(rows.Single(row =>
            row["bits"] == bits && row["registers"] == "False" && row["outliers"] == treatment)[column]);
        Assert.Equal((0, 0), (Of("deleted_share", "none"), Of("merged_share", "none")));
        Assert.True(Of("merged_share", "merge") > 0.9);
        Assert.True(Of("merged_share", "protect") < 0.2);
        Assert.Equal(1, Of("deleted_share", "delete"));
        Assert.True(Of("largest_entry", "delete") < 0.1 * Of("largest_entry", "protect"));
        Assert.True(Of("gmacs", "delete") < Of("gmacs", "merge") && Of("gmacs", "merge") < Of("gmacs", "none"));

        // In float everything is fine; at 8 bits only without the outliers.
        Assert.All(treatments, treatment => Assert.InRange(Of("top1", treatment), 80, 100));
        Assert.All(treatments[..^1], treatment => Assert.True(Of("top1", treatment, "W8A8") < Of("top1", "delete", "W8A8") - 10));
        Assert.Contains("<svg", File.ReadAllText(extraction.Folder["outliers", "outliers.svg"]), StringComparison.Ordinal);
        Assert.Equal(rows.Count, Result("outliers").GetArrayLength());
    }

    [Fact]
    public void DryRunsTellTheCostAndComputeNothing()
    {
        Assert.Contains("20 plans on ", extraction.Run("study merging-outliers", "dry", [.. extraction.Setting, "--all-bits", "W8A8", "--dry-run"]), StringComparison.Ordinal);
        Assert.Contains("4 plans on 16 images", extraction.Run("study ranges", "dry", [.. extraction.Setting, "--images", "16", "--dry-run"]), StringComparison.Ordinal);
        Assert.False(File.Exists(extraction.Folder["dry", "outliers.csv"]) || File.Exists(extraction.Folder["dry", "ranges.csv"]));
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private List<IDictionary<string, string>> Table(params string[] path)
    {
        using var csv = new CsvReader(File.OpenText(extraction.Folder[path]), CultureInfo.InvariantCulture);
        return [.. csv.GetRecords<dynamic>().Cast<IDictionary<string, object>>().Select(row => (IDictionary<string, string>)row.ToDictionary(cell => cell.Key, cell => (string)cell.Value))];
    }

    private JsonElement Result(string run) =>
        JsonDocument.Parse(File.ReadAllText(extraction.Folder[run, "result.json"])).RootElement.GetProperty("result");

    /// <summary>Generated images, and the prefixes that `extract` makes from them.</summary>
    public sealed class Extraction : IDisposable
    {
        public Extraction()
        {
            Regcache(["data", "make", "shapes", "--out", Folder["shapes"], "--split", "validation", "--count", "48"]);
            string[] images = ["--imagenet-val", Folder["shapes", "validation"], "--batch", "48"];
            var demo = Path.Combine(Goldens.RepositoryRoot, "models", "shapes-clip");
            Model = ["--model", demo, "--prompts", Path.Combine(demo, "prompts.json"), .. images];
            Output = Run("extract", "extract", ["--train-sample", Folder["shapes", "validation"]]);
            Prefix = Directory.GetFiles(Folder["extract"], "block02.safetensors", SearchOption.AllDirectories).Single();
            Setting = ["--prefix", Prefix, "--prefix-count", "2", "--delete-block", "2", "--delete-count", "7"];
        }

        internal TemporaryFolder Folder { get; } = new();

        public IReadOnlyList<string> Model { get; }

        /// <summary>What `extract` printed.</summary>
        public string Output { get; }

        public string Prefix { get; }

        public IReadOnlyList<string> Setting { get; }

        public string Run(string command, string run, IEnumerable<string> arguments) =>
            Regcache([.. command.Split(' '), .. Model, "--run-dir", Folder[run], .. arguments]);

        public void Dispose() => Folder.Dispose();

        private static string Regcache(IEnumerable<string> arguments)
        {
            var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, arguments);
            Assert.True(code == 0, error);
            return output;
        }
    }
}
