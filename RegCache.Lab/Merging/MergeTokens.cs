using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// Merges the most similar tokens of every image between attention and MLP: ToMe's step (token-merging.md, sections 2
/// and 3). Class and register tokens take no part.
/// </summary>
/// <param name="Count">Tokens to merge away; capped at half of the free tokens.</param>
public sealed record MergeTokens(int Count) : ITokenStage
{
    /// <summary>How outlier tokens are treated.</summary>
    public OutlierRule Outliers { get; init; } = OutlierRule.None;

    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        var count = PairsOf(batch);
        if (count == 0)
        {
            return batch;
        }

        using var scope = torch.NewDisposeScope();
        var merge = BipartiteMatching.Match(
            MergeMetric.Of(batch, context), count, batch.Layout.ProtectedTokens, Outliers.Penalty(batch))!;
        return (merge.Apply(batch) with { Layout = batch.Layout with { Windows = null } }).MoveToOuterDisposeScope(batch);
    }

    /// <inheritdoc />
    public long Macs(TokenBatch batch, StageContext context) =>
        PairsOf(batch) == 0 ? 0 : MergeMetric.PairScores(batch.Length) * context.Keys!.shape[^1];

    private int PairsOf(TokenBatch batch)
    {
        var free = (int)batch.Length - batch.Layout.ProtectedTokens;
        return Math.Min(Count, Outliers.Pairs(free));
    }
}
