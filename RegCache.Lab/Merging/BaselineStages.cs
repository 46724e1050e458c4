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

/// <summary>Drops tokens.</summary>
internal static class TokenPruning
{
    /// <summary>Drops the tokens at the given indices [B,R] of every image; the others keep their order.</summary>
    public static TokenBatch Drop(TokenBatch batch, Tensor indices)
    {
        using var scope = torch.NewDisposeScope();
        var dropped = torch.zeros([batch.Images, batch.Length], dtype: torch.ScalarType.Int64, device: indices.device)
            .scatter_(1, indices, torch.ones_like(indices));
        var (_, order) = dropped.sort(dim: 1, stable: true);
        return batch.Select(order.narrow(1, 0, batch.Length - indices.shape[1])).MoveToOuterDisposeScope(batch);
    }
}

/// <summary>A baseline: drops tokens drawn at random from the free ones of every image (token-merging.md, section 9).</summary>
/// <param name="Count">Tokens to drop; capped at half of the free tokens.</param>
/// <param name="Seed">Seed of the draw; every block draws its own tokens, every batch the same ones.</param>
public sealed record RandomPruning(int Count, long Seed) : ITokenStage
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
        return TokenPruning.Drop(batch, order.narrow(1, 0, count)).MoveToOuterDisposeScope(batch);
    }
}

/// <summary>
/// A baseline: drops the tokens that the class token attends to least, by the mean over heads of the block's attention
/// (token-merging.md, section 9).
/// </summary>
/// <param name="Count">Tokens to drop; capped at half of the free tokens.</param>
public sealed record AttentionPruning(int Count) : ITokenStage
{
    /// <inheritdoc />
    /// <exception cref="UserException">The stream has no class token.</exception>
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        var first = batch.Layout.ProtectedTokens;
        var count = BipartiteMatching.Cap(Count, batch.Length - first);
        if (count == 0)
        {
            return batch;
        }

        if (batch.Layout.ClassTokens == 0)
        {
            throw new UserException($"Attention pruning in block {context.Block} needs a class token, which this model has not got there; use another method.");
        }

        using var scope = torch.NewDisposeScope();
        using var noGradient = torch.no_grad();
        var attention = ClassAttention(context).narrow(1, first, batch.Length - first);
        var (_, order) = attention.sort(dim: 1, stable: true);
        return TokenPruning.Drop(batch, order.narrow(1, 0, count) + first).MoveToOuterDisposeScope(batch);
    }

    /// <summary>Attention of the class token to every token [B,N], the mean over heads.</summary>
    private static Tensor ClassAttention(StageContext context)
    {
        var query = context.Queries!.narrow(2, 0, 1);
        var keys = Attention.Prepend(context.Extras.PrefixKeys, context.Keys!);
        var logits = query.matmul(keys.transpose(2, 3)) / Math.Sqrt(query.shape[^1]);
        if (context.Extras.Bias is { } bias)
        {
            logits = logits + Attention.PadColumns(bias, context.Extras.PrefixKeys);
        }

        var tokens = context.Keys!.shape[2];
        return logits.to(torch.ScalarType.Float32).softmax(-1).narrow(-1, keys.shape[2] - tokens, tokens).mean([1]).squeeze(1);
    }
}
