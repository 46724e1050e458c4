using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// Multiply-accumulates of one image under a plan, by block and kind (token-merging.md, section 10). Norms, softmax,
/// activations and biases are not counted.
/// </summary>
/// <param name="Rows">One row for each part of each block.</param>
/// <param name="FinalTokens">Tokens that leave the last block.</param>
public sealed record MacsTable(ValueList<MacsRow> Rows, long FinalTokens)
{
    /// <summary>The model's multiply-accumulates; matching is apart.</summary>
    public long Total => Rows.Where(row => row.Kind != MacsKind.Matching).Sum(row => row.Macs);

    /// <summary>Multiply-accumulates of the decisions of token stages.</summary>
    public long Matching => Of(MacsKind.Matching);

    /// <summary>Multiply-accumulates of one kind in all blocks.</summary>
    public long Of(MacsKind kind) => Rows.Where(row => row.Kind == kind).Sum(row => row.Macs);

    /// <summary>
    /// Accounts for a plan without running the model: only its token stages run, on random tokens of one image. Stages
    /// that decide how many tokens stay by the tokens' content are counted for that image.
    /// </summary>
    /// <param name="config">The tower's architecture.</param>
    /// <param name="outputs">Channels of the feature, or classes of a classifier.</param>
    /// <param name="plan">The plan.</param>
    /// <exception cref="UserException">The plan does not fit the architecture.</exception>
    public static MacsTable Of(VisionConfig config, int outputs, EncoderPlan plan)
    {
        long width = config.Width;
        var rows = new List<MacsRow>
        {
            new(null, MacsKind.PatchEmbedding, config.Patches, (long)config.Patches * 3 * config.PatchSize * config.PatchSize * width),
        };
        var tokens = (long)config.Patches + config.ClassTokens;
        foreach (var (block, trace) in TokenTrace.Of(config, plan).Index())
        {
            var keys = trace.Attention + (plan.Blocks[block].Prefix is null ? 0 : plan.Blocks[block].PrefixCount);
            rows.Add(new(block, MacsKind.AttentionLinears, trace.Attention, 4 * trace.Attention * width * width));
            rows.Add(new(block, MacsKind.AttentionProducts, trace.Attention, 2 * trace.Attention * keys * width));
            rows.Add(new(block, MacsKind.Mlp, trace.Mlp, 2 * trace.Mlp * width * config.MlpWidth));
            if (trace.StageMacs > 0)
            {
                rows.Add(new(block, MacsKind.Matching, trace.Attention, trace.StageMacs));
            }

            tokens = trace.Mlp;
        }

        var pooled = config.PoolType switch
        {
            VisionPooling.ClassToken => Math.Max(1, config.ClassTokens),
            VisionPooling.Average => 1,
            _ => tokens,
        };
        rows.Add(new(null, MacsKind.Head, pooled, pooled * width * outputs));
        return new([.. rows], tokens);
    }
}
