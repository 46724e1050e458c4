using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// A baseline: merges tokens drawn at random from the free ones of every image, each into its most similar other token
/// (token-merging.md, section 9).
/// </summary>
/// <param name="Count">Tokens to merge away; capped at half of the free tokens.</param>
/// <param name="Seed">Seed of the draw; every block draws its own tokens, every batch the same ones.</param>
public sealed record RandomMerging(int Count, long Seed) : ITokenStage
{
    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        var first = batch.Layout.ProtectedTokens;
        var count = BipartiteMatching.Cap(Count, batch.Length - first);
        if (count == 0)
        {
            return batch;
        }

        using var scope = torch.NewDisposeScope();
        var order = RandomOrder.Of(batch, Seed, context.Block);
        var leading = torch.arange(first, dtype: torch.ScalarType.Int64, device: order.device).expand(batch.Images, -1);
        var (rest, _) = order.narrow(1, count, order.shape[1] - count).sort(dim: 1);
        var merge = NearestMatching.Match(
            MergeMetric.Of(batch, context), order.narrow(1, 0, count), torch.cat([leading, rest], 1), first);
        return (merge.Apply(batch) with { Layout = batch.Layout with { Windows = null } }).MoveToOuterDisposeScope(batch);
    }

    /// <inheritdoc />
    public long Macs(TokenBatch batch, StageContext context)
    {
        var count = BipartiteMatching.Cap(Count, batch.Length - batch.Layout.ProtectedTokens);
        return count * (batch.Length - count) * context.Keys!.shape[^1];
    }
}
