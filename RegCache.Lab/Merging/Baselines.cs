using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// A baseline: merges tokens drawn at random from the free ones of every image, each into its most similar other token.
/// </summary>
/// <param name="Count">Tokens to merge away; capped at half of the free tokens.</param>
/// <param name="Seed">Seed of the draw; every block draws its own tokens, every batch the same ones.</param>
public sealed record RandomMerging(int Count, long Seed) : ITokenStage
{
    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        var count = BipartiteMatching.Cap(Count, batch);
        return count == 0
            ? batch
            : TensorScope.Run(() => NearestMatching.MergeFirst(batch, context, RandomOrder.Of(batch, Seed, context.Block), count));
    }

    /// <inheritdoc />
    public long Macs(TokenBatch batch, StageContext context)
    {
        var count = BipartiteMatching.Cap(Count, batch);
        return count * (batch.Length - count) * context.Keys!.shape[^1];
    }
}

/// <summary>A baseline: drops tokens drawn at random from the free ones of every image.</summary>
/// <param name="Count">Tokens to drop; capped at half of the free tokens.</param>
/// <param name="Seed">Seed of the draw; every block draws its own tokens, every batch the same ones.</param>
public sealed record RandomPruning(int Count, long Seed) : ITokenStage
{
    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        var count = BipartiteMatching.Cap(Count, batch);
        return count == 0
            ? batch
            : TensorScope.Run(() => TokenPruning.Drop(batch, RandomOrder.Of(batch, Seed, context.Block).narrow(1, 0, count)));
    }
}

/// <summary>
/// A baseline: drops the tokens that the class token attends to least, by the mean over heads of the block's attention.
/// </summary>
/// <param name="Count">Tokens to drop; capped at half of the free tokens.</param>
public sealed record AttentionPruning(int Count) : ITokenStage
{
    /// <inheritdoc />
    /// <exception cref="UserException">The stream has no class token.</exception>
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        var count = BipartiteMatching.Cap(Count, batch);
        if (count == 0)
        {
            return batch;
        }

        if (batch.Layout.ClassTokens == 0)
        {
            throw new UserException($"Attention pruning in block {context.Block} needs a class token, and the stream has none there; use another method.");
        }

        return TensorScope.Run(() =>
        {
            using var noGradient = torch.no_grad();
            var first = batch.Layout.ProtectedTokens;
            var attention = ClassAttention.Of(context).narrow(1, first, batch.Length - first);
            var (_, order) = attention.sort(dim: 1, stable: true);
            return TokenPruning.Drop(batch, order.narrow(1, 0, count) + first);
        });
    }
}

/// <summary>Random orders of the free tokens.</summary>
public static class RandomOrder
{
    /// <summary>A random order of the free tokens of every image: indices into the sequence [B,N-P], int64.</summary>
    /// <param name="batch">The stream.</param>
    /// <param name="seed">Seed of the draw.</param>
    /// <param name="block">The block, 0-based: every block draws an order of its own.</param>
    public static Tensor Of(TokenBatch batch, long seed, int block) => TensorScope.Run(() =>
    {
        using var generator = new torch.Generator((ulong)HashCode(seed, block), batch.Tokens.device);
        var first = batch.Layout.ProtectedTokens;
        var keys = torch.rand([batch.Images, batch.Length - first], device: batch.Tokens.device, generator: generator);
        return keys.argsort(1) + first;
    });

    // Blocks must not draw the same tokens; System.HashCode differs from process to process.
    private static long HashCode(long seed, int block) => unchecked((seed * 1_000_003) + block) & long.MaxValue;
}

/// <summary>How much the class token attends to the other tokens.</summary>
public static class ClassAttention
{
    /// <summary>Attention of the first token to every token [B,N] in float32, the mean over heads.</summary>
    /// <param name="context">What the block computed, between attention and MLP.</param>
    public static Tensor Of(StageContext context) => TensorScope.Run(() =>
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
    });
}

/// <summary>Drops tokens.</summary>
public static class TokenPruning
{
    /// <summary>Drops tokens of every image; the others keep their order.</summary>
    /// <param name="batch">The stream [B,N,C].</param>
    /// <param name="indices">Tokens to drop [B,R], int64; no protected ones.</param>
    /// <returns>The stream [B,N-R,C].</returns>
    public static TokenBatch Drop(TokenBatch batch, Tensor indices) => TensorScope.Run(() =>
    {
        var dropped = torch.zeros([batch.Images, batch.Length], dtype: torch.ScalarType.Int64, device: indices.device)
            .scatter_(1, indices, torch.ones_like(indices));
        var (_, order) = dropped.sort(dim: 1, stable: true);
        return batch.Select(order.narrow(1, 0, batch.Length - indices.shape[1]));
    });
}
