using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

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
