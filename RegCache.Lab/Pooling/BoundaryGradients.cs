namespace RegCache.Lab.Pooling;

/// <summary>The gradient of a pooled sequence with respect to the straight-through boundaries: [B,T], float32.</summary>
public delegate Tensor BoundaryGradient(PooledGradient pooled);

/// <summary>A rule by which boundaries get their gradient, by name.</summary>
/// <param name="Name">The name.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Of">The rule.</param>
public sealed record ListedGradient(string Name, string Help, BoundaryGradient Of) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];
}

/// <summary>What a boundary's gradient is made of.</summary>
/// <param name="Hidden">Tokens h [T,B,C], float32.</param>
/// <param name="Boundaries">The boundaries b [B,T], bool.</param>
/// <param name="Mode">What a boundary does.</param>
/// <param name="Index">The row s(i) of every token [T,B], int64; S where it has none.</param>
/// <param name="Sizes">Tokens n of every row [S,B], at least 1, float32.</param>
/// <param name="Shares">The rows' gradients over their sizes, G / n, [(S+1)*B,C]; the last B are zero.</param>
/// <param name="Own">Those of every token's own row [T,B,C].</param>
public sealed record PooledGradient(Tensor Hidden, Tensor Boundaries, BoundaryMode Mode, Tensor Index, Tensor Sizes, Tensor Shares, Tensor Own)
{
    /// <summary>The products <c>G_s . h_i / n_s</c> of every token with its own row [T,B].</summary>
    public Tensor OwnProducts() => (Own * Hidden).sum(-1);

    /// <summary>The same with the row <paramref name="offset"/> further; 0 where there is none.</summary>
    public Tensor ProductsAt(long offset)
    {
        var (batch, rows) = (Hidden.shape[1], Sizes.shape[0]);
        var other = Index + offset;
        var inside = other.ge(0).logical_and(other.less(rows)).logical_and(Index.less(rows));
        var flat = Segments.Flat(torch.where(inside, other, torch.full_like(other, rows)), batch);
        return (Shares.index_select(0, flat).view_as(Hidden) * Hidden).sum(-1);
    }
}

/// <summary>
/// The rules by which boundaries get their gradient through pooling (docs/methods/dynamic-pooling.md, "Gradients"). Hard boundaries have none of
/// their own; each rule is a way to continue them.
/// </summary>
public static class BoundaryGradients
{
    /// <summary>All of them. A rule more is an entry more.</summary>
    public static OpenList<ListedGradient> All { get; } = new(
        "boundary gradient",
        new("suffix", "The language model's: a boundary moves all later tokens.", Suffix),
        new("left", "DITTO's: a boundary moves the token beside it back.", Left),
        new("by_state", "The same, and where there is no boundary, its token would move on.", ByState));

    /// <summary>
    /// The language model's: a boundary moves all later tokens one row on, so <c>dL/db_j = sum_{t>j} a_t</c> with
    /// <c>a_t = G . (h_t - mean) / n</c> of the token's row.
    /// </summary>
    public static Tensor Suffix(PooledGradient pooled)
    {
        using var scope = torch.NewDisposeScope();
        var (rows, batch) = (pooled.Sizes.shape[0], pooled.Hidden.shape[1]);
        var products = pooled.OwnProducts();
        var flat = Segments.Flat(pooled.Index, batch);
        var sums = torch.zeros([(rows + 1) * batch], torch.ScalarType.Float32, products.device).index_add_(0, flat, products.flatten(), 1);
        var means = torch.cat([sums.narrow(0, 0, rows * batch) / pooled.Sizes.flatten(), torch.zeros([batch], torch.ScalarType.Float32, products.device)], 0);
        var parts = (products - means.index_select(0, flat).view_as(products)).transpose(0, 1);
        return (parts.sum(1, keepdim: true) - parts.cumsum(1)).contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>
    /// DITTO's: a boundary moves the one token beside it. <c>a_i = (G_s . h_i) / n_s - [s >= 1] (G_{s-1} . h_i) / n_{s-1}</c>, of the token behind
    /// a closing boundary, or of the token at an opening one.
    /// </summary>
    public static Tensor Left(PooledGradient pooled)
    {
        using var scope = torch.NewDisposeScope();
        return Beside(pooled, (pooled.OwnProducts() - pooled.ProductsAt(-1)).transpose(0, 1)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The same with the change that switching the boundary would make: where there is none, its token would move on, not back, so
    /// <c>a_i = (G_{s+1} . h_i) / n_{s+1} - (G_s . h_i) / n_s</c> there.
    /// </summary>
    public static Tensor ByState(PooledGradient pooled)
    {
        using var scope = torch.NewDisposeScope();
        var own = pooled.OwnProducts();
        var removed = Beside(pooled, (own - pooled.ProductsAt(-1)).transpose(0, 1));
        var added = Beside(pooled, (pooled.ProductsAt(1) - own).transpose(0, 1));
        return torch.where(pooled.Boundaries, removed, added).MoveToOuterDisposeScope();
    }

    // The forced position, the last one that closes or the first one that opens, has no gradient.
    private static Tensor Beside(PooledGradient pooled, Tensor parts)
    {
        var (batch, tokens) = (parts.shape[0], parts.shape[1]);
        var zero = torch.zeros([batch, 1], torch.ScalarType.Float32, parts.device);
        var others = parts.narrow(1, 1, tokens - 1);
        return torch.cat(pooled.Mode == BoundaryMode.Closes ? [others, zero] : [zero, others], 1);
    }
}
