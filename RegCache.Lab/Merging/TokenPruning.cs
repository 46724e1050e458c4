using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

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
