using System.Text.Json;
using RegCache.Lab.Composition;
using RegCache.Lab.Merging;
using RegCache.Lab.Quantization.Ranges;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Cli;

/// <summary>The commands `extract`, `study ranges`, `study merging-outliers` and `study compose`, on the demo model and a few generated images.</summary>
[Trait("Category", "Slow")]
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
        var rows = CsvTable.Read<RangeRow>(extraction.Folder["ranges", "ranges.csv"]);
        Assert.Equal(3 * 2 * Blocks * Layers, rows.Count);

        // One huge value at the input of mlp.c_proj of block 2, which deletion takes away before that block.
        RangeRow Of(string bits, bool registers, int block, string layer) =>
            rows.Single(row => row.Bits == bits && row.Registers == registers && row.Block == block && row.Layer == layer);
        Assert.InRange(Of("float", false, 2, "mlp.c_proj").LInf, 1000, 2000);
        Assert.InRange(Of("float", true, 2, "mlp.c_proj").LInf, 0, 20);

        // Two bits are worth 12 dB, where the range is all that quantization changes.
        Assert.InRange(Of("W8A8", false, 0, "attn.in_proj").TokenSqnr!.Value - Of("W6A6", false, 0, "attn.in_proj").TokenSqnr!.Value, 11, 13);
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
        var rows = CsvTable.Read<OutlierStudyRow>(extraction.Folder["outliers", "outliers.csv"]);
        string[] treatments = ["none", "merge", "protect", "last", "delete"];
        Assert.Equal(
            from bits in new[] { "float", "W8A8" } from registers in new[] { false, true } from treatment in treatments select (bits, registers, treatment),
            rows.Select(row => (row.Bits, row.Registers, row.Outliers)));
        OutlierStudyRow Of(string treatment, string bits = "float") =>
            rows.Single(row => row.Bits == bits && !row.Registers && row.Outliers == treatment);
        Assert.Equal((0, 0), (Of("none").DeletedShare, Of("none").MergedShare));
        Assert.InRange(Of("merge").MergedShare, 0.9, 1);
        Assert.InRange(Of("protect").MergedShare, 0, 0.2);
        Assert.Equal(1, Of("delete").DeletedShare);
        Assert.True(Of("delete").LargestEntry < 0.1 * Of("protect").LargestEntry);
        Assert.True(Of("delete").Gmacs < Of("merge").Gmacs && Of("merge").Gmacs < Of("none").Gmacs);

        // In float everything is fine; at 8 bits only without the outliers.
        Assert.All(treatments, treatment => Assert.InRange(Of(treatment).Top1, 80, 100));
        Assert.All(treatments[..^1], treatment => Assert.True(Of(treatment, "W8A8").Top1 < Of("delete", "W8A8").Top1 - 10));
        Assert.Contains("<svg", File.ReadAllText(extraction.Folder["outliers", "outliers.svg"]), StringComparison.Ordinal);
        Assert.Equal(rows.Count, Result("outliers").GetArrayLength());
    }

    [Fact]
    public void SystemsAreSwitchedOnAloneAndTogetherAndOffAgain()
    {
        string[] search = ["--train-sample", extraction.Folder["shapes", "validation"], "--throughput-batch", "4", "--throughput-runs", "4"];
        var output = extraction.Run("study compose", "compose", [.. extraction.Setting, "--r", "4", "--merging", "tome", .. search]);
        Assert.Contains("2 prefix tokens from block 2", output, StringComparison.Ordinal);
        var rows = CsvTable.Read<CompositionRow>(extraction.Folder["compose", "compose.csv"]);
        string[] systems = [.. ComposedSystems.All.Select(system => system.Name)];
        Assert.Equal(
            ["plain", .. systems, .. systems.Skip(1).Select(name => $"+ {name}"), .. systems.SkipLast(1).Select(name => $"- {name}")],
            rows.Select(row => row.Step));
        CompositionRow Of(string step) => rows.Single(row => row.Step == step);

        // Deletion is what saves the quantized model.
        Assert.InRange(Of("plain").Top1, 80, 100);
        Assert.True(Of("quantizer").Top1 < Of("plain").Top1 - 10);
        Assert.True(Of("- deletion").Top1 < Of("+ quantizer").Top1);

        // What shortens the stream costs less, alone and together; a prefix costs a little, and the quantizer changes no count.
        Assert.True(Of("registers").Gmacs > Of("plain").Gmacs);
        Assert.All(["deletion", "merging", "late", "pooling", "memory"], name => Assert.True(Of(name).Gmacs < Of("plain").Gmacs));
        Assert.All(["merging", "late", "pooling", "memory"], name => Assert.True(Of($"+ {name}").Gmacs < Of("+ deletion").Gmacs));
        Assert.Equal(Of("+ memory").Gmacs, Of("+ quantizer").Gmacs);
        Assert.Equal(65 - 7 - (6 * 4), Of("+ merging").FinalTokens);
        Assert.Contains("<svg", File.ReadAllText(extraction.Folder["compose", "pareto.svg"]), StringComparison.Ordinal);

        // The stored accuracy is taken again; two systems alone, in another order.
        string[] two = ["--systems", "late,deletion", "--class-entry", "1"];
        extraction.Run("study compose", "compose", [.. extraction.Setting, .. search, .. two]);
        Assert.Equal(["plain", "late", "deletion", "+ deletion"], CsvTable.Read<CompositionRow>(extraction.Folder["compose", "compose.csv"]).Select(row => row.Step));
    }

    [Theory]
    [InlineData("The system 'pruning' is unknown", "--systems", "pruning")]
    [InlineData("the quantizer comes last", "--systems", "quantizer,late")]
    [InlineData("cannot enter before block 6", "--systems", "late", "--class-entry", "6")]
    [InlineData("has no memory layers", "--systems", "memory", "--memory-model", "DEMO")]
    public void SystemsThatCannotBeComposedAreOneSentence(string expected, params string[] arguments)
    {
        var demo = extraction.Model[1];
        string[] images = ["--train-sample", extraction.Folder["shapes", "validation"], "--run-dir", extraction.Folder["mistake"]];
        var (code, _, error) = ExternalProcess.Run(
            ExternalProcess.Regcache,
            ["study", "compose", .. extraction.Model, .. images, .. extraction.Setting, .. arguments.Select(word => word == "DEMO" ? demo : word)]);
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.False(File.Exists(extraction.Folder["mistake", "compose.csv"]));
    }

    [Fact]
    public void DryRunsTellTheCostAndComputeNothing()
    {
        Assert.Contains("20 plans on ", extraction.Run("study merging-outliers", "dry", [.. extraction.Setting, "--all-bits", "W8A8", "--dry-run"]), StringComparison.Ordinal);
        Assert.Contains("4 plans on 16 images", extraction.Run("study ranges", "dry", [.. extraction.Setting, "--images", "16", "--dry-run"]), StringComparison.Ordinal);
        Assert.False(File.Exists(extraction.Folder["dry", "outliers.csv"]) || File.Exists(extraction.Folder["dry", "ranges.csv"]));
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
