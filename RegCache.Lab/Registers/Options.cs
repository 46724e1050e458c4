using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Registers;

/// <summary>What makes a layer quantization-sensitive, or a search cell the best.</summary>
public enum SearchMetric
{
    /// <summary>Top-1 predictions that are right.</summary>
    Accuracy,

    /// <summary>Mean squared error of the normalised image features against the float model; needs no labels.</summary>
    Mse,
}

/// <summary>The activation whose largest entry makes a token a register candidate.</summary>
public enum ScoreTensor
{
    /// <summary>The residual stream that enters the block.</summary>
    BlockInput,

    /// <summary>The input of the block's second MLP layer.</summary>
    MlpHidden,
}

/// <summary>How the prefix-extraction block is chosen.</summary>
public enum BlockSearch
{
    /// <summary>The whole grid for every candidate block.</summary>
    Exhaustive,

    /// <summary>Each candidate block with one prefix token first, then the grid of the best.</summary>
    TwoStep,
}

/// <summary>The blocks whose attention sees the prefix.</summary>
public enum PrefixBlocks
{
    /// <summary>The prefix-extraction block and all later ones.</summary>
    FromT,

    /// <summary>The prefix-extraction block alone.</summary>
    OnlyT,
}

/// <summary>
/// The choices of a RegCache run that change its numbers. Where the paper is silent, docs/methods/regcache.md gives the reasons
/// of the defaults.
/// </summary>
public sealed record RegCacheOptions
{
    /// <summary>Bit-widths of the run.</summary>
    public QuantizationBits Bits { get; init; } = new(8, 8);

    /// <summary>Bit-widths of the sensitivity probe; null uses those of the run.</summary>
    public QuantizationBits? SensitivityBits { get; init; }

    /// <summary>What makes a layer sensitive.</summary>
    public SearchMetric SensitivityMetric { get; init; } = SearchMetric.Accuracy;

    /// <summary>What makes a search cell the best.</summary>
    public SearchMetric SearchMetric { get; init; } = SearchMetric.Accuracy;

    /// <summary>The activation by which register candidates are ranked.</summary>
    public ScoreTensor ScoreTensor { get; init; } = ScoreTensor.BlockInput;

    /// <summary>How many candidates are averaged.</summary>
    public int TopTokens { get; init; } = 100;

    /// <summary>The blocks that see the prefix.</summary>
    public PrefixBlocks PrefixBlocks { get; init; } = PrefixBlocks.FromT;

    /// <summary>How the prefix-extraction block is chosen.</summary>
    public BlockSearch BlockSearch { get; init; } = BlockSearch.Exhaustive;

    /// <summary>Most prefix tokens that are tried.</summary>
    public int MaxPrefix { get; init; } = 15;

    /// <summary>Most deleted tokens that are tried.</summary>
    public int MaxDelete { get; init; } = 10;

    /// <summary>Whether cells that can no longer win are dropped; the selected cell stays the same.</summary>
    public bool Prune { get; init; }

    /// <summary>How often the search calibrates the quantizer; null does what the quantizer recommends.</summary>
    public Recalibration? Recalibration { get; init; }

    /// <summary>In a search of two passes, how many of the best settings are calibrated again.</summary>
    public int Finalists { get; init; } = 5;

    /// <summary>Refuses options that an encoder cannot run.</summary>
    /// <param name="patches">Number of patch tokens of the encoder.</param>
    /// <exception cref="UserException">A number is out of range; the message names its option.</exception>
    public void Validate(int patches)
    {
        Require(TopTokens >= 1, $"--topn {TopTokens}: average at least one token.");
        Require(MaxPrefix >= 1, $"--max-prefix {MaxPrefix}: try at least one prefix token.");
        Require(Finalists >= 1, $"--finalists {Finalists}: calibrate at least one setting again.");
        Require(
            !Prune || SearchMetric == SearchMetric.Accuracy,
            "--prune needs --search-metric accuracy: only counts of correct answers tell that a setting can no longer win; leave --prune out.");
        Require(
            MaxDelete >= 0 && MaxDelete < patches,
            $"--max-delete {MaxDelete}: an image has {patches} patch tokens, so choose 0 to {patches - 1}.");
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new UserException(message);
        }
    }
}

/// <summary>One setting of RegCache: where the prefix starts, how often it is repeated, and what is deleted where.</summary>
/// <param name="ExtractionBlock">Block t whose tokens made the prefix, 0-based.</param>
/// <param name="PrefixCount">Number of prefix tokens, tau; 0 for none.</param>
/// <param name="DeleteBlock">Block k before which tokens are deleted, the quantization-sensitive one.</param>
/// <param name="DeleteCount">Number of deleted tokens; 0 for none.</param>
public sealed record RegCacheSetting(int ExtractionBlock, int PrefixCount, int DeleteBlock, int DeleteCount)
{
    /// <summary>Which blocks see the prefix.</summary>
    public PrefixBlocks PrefixBlocks { get; init; } = PrefixBlocks.FromT;

    /// <summary>The setting as a phrase: 1 prefix token from block 0, 7 tokens deleted before block 2.</summary>
    public string InWords()
    {
        static string Some(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
        return $"{Some(PrefixCount, "prefix token")} from block {ExtractionBlock}, {Some(DeleteCount, "token")} deleted before block {DeleteBlock}";
    }

    /// <summary>The blocks that see the prefix in an encoder of the given depth.</summary>
    public IEnumerable<int> PrefixedBlocks(int layers) =>
        Enumerable.Range(ExtractionBlock, PrefixBlocks == PrefixBlocks.FromT ? layers - ExtractionBlock : 1);

    /// <summary>Adds prefix and deletion to a plan.</summary>
    /// <param name="plan">The quantized (or float) encoder without RegCache.</param>
    /// <param name="prefix">The averaged keys and values of the extraction block; may be null without prefix tokens.</param>
    public EncoderPlan ApplyTo(EncoderPlan plan, RegisterPrefix? prefix)
    {
        if (PrefixCount > 0)
        {
            foreach (var block in PrefixedBlocks(plan.Blocks.Count))
            {
                plan = plan.With(block, it => it with { Prefix = prefix, PrefixCount = PrefixCount });
            }
        }

        return DeleteCount == 0
            ? plan
            : plan.With(DeleteBlock, it => it with { Before = [.. it.Before, new DeleteOutliers(DeleteCount)] });
    }
}
