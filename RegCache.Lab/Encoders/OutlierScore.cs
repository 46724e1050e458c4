namespace RegCache.Lab.Encoders;

/// <summary>How much of an outlier a token is: the l-infinity norm of its row.</summary>
internal static class OutlierScore
{
    /// <summary>Largest magnitude of every row in float32, [B,N,C] to [B,N].</summary>
    public static Tensor Of(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        var wide = rows.to(torch.ScalarType.Float32);
        return torch.maximum(wide.amax([-1]), wide.amin([-1]).neg()).MoveToOuterDisposeScope();
    }
}
