using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

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
