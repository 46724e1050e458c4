using RegCache.Lab.Encoders;

namespace RegCache.Lab.Registers;

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
