using RegCache.Lab.Encoders;

namespace RegCache.Lab.Registers;

/// <summary>
/// Removes, in every image, the tokens with the largest entry: <c>s[n] = max_c |h[n,c]|</c>. Class and register tokens
/// stay; of equal scores the token with the smaller index goes first; the others keep their order (regcache.md, 8.1).
/// </summary>
/// <param name="Count">Number of tokens to remove from each image.</param>
public sealed record DeleteOutliers(int Count) : ITokenStage
{
    /// <inheritdoc />
    /// <exception cref="UserException">Fewer tokens than <see cref="Count"/> may be removed.</exception>
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        if (Count == 0)
        {
            return batch;
        }

        var first = batch.Layout.ProtectedTokens;
        var candidates = batch.Length - first;
        if (Count > candidates)
        {
            throw new UserException(
                $"Cannot delete {Count} tokens before block {context.Block}: an image has only {candidates} patch tokens there; lower the delete count.");
        }

        using var scope = torch.NewDisposeScope();
        var scores = OutlierScore.Of(batch.Tokens.narrow(1, first, candidates));
        var (_, order) = scores.sort(dim: 1, descending: true, stable: true);
        var (kept, _) = order.narrow(1, Count, candidates - Count).sort(dim: 1);
        var leading = torch.arange(first, dtype: torch.ScalarType.Int64, device: kept.device).unsqueeze(0);
        var indices = torch.cat([leading.expand(batch.Images, -1), kept + first], 1);
        return batch.Select(indices.MoveToOuterDisposeScope()).MoveToOuterDisposeScope(batch);
    }
}
