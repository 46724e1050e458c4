using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// Says which tokens of every image become one: each merged token joins a kept one, and the kept ones go on in the order
/// given.
/// </summary>
/// <param name="Kept">Input index of every output token [B,M], int64.</param>
/// <param name="Merged">Input indices of the tokens that are merged away [B,R], int64.</param>
/// <param name="Targets">Output index of the token that each of them joins [B,R], int64.</param>
public sealed record TokenMerge(Tensor Kept, Tensor Merged, Tensor Targets) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Kept, Merged, Targets];

    /// <summary>
    /// Merges a stream: tokens become the average of their members weighted by size, <c>sum(s x) / sum(s)</c>, sizes and sources
    /// add up, and a token's position is that of its kept member. Windows are forgotten. Differentiable with respect to the
    /// tokens. (Bolya et al. 2023, section 3, "Tracking Token Size")
    /// </summary>
    /// <param name="batch">The stream [B,N,C].</param>
    /// <returns>The stream [B,M,C].</returns>
    public TokenBatch Apply(TokenBatch batch) => TensorScope.Run(() =>
    {
        var sizes = batch.Sizes ?? torch.ones([batch.Images, batch.Length, 1], device: batch.Tokens.device);
        var kept = batch.Select(Kept);
        var total = Sum(sizes);

        // sum(s x) / sum(s) = x + sum(s_i / sum(s) (x_i - x)): touches only the rows that something joins.
        // Padding that joins padding has no share of anything.
        var whole = TokenRows.Take(total, Targets);
        var share = TokenRows.Take(sizes, Merged) / (batch.HasPadding ? whole.clamp(min: 1) : whole);
        var distance = TokenRows.Take(batch.Tokens, Merged) - TokenRows.Take(kept.Tokens, Targets);
        var merged = kept with
        {
            Tokens = TokenRows.AddTo(kept.Tokens, Targets, distance * share.to(distance.dtype)),
            Sizes = total,
            Sources = batch.Sources is { } sources ? Sum(sources) : null,
            Layout = batch.Layout with { Windows = null },
        };
        return merged.Padding is { } padding ? merged.Select(PaddingLast(padding, merged.Layout.ProtectedTokens)) : merged;
    });

    // Where padding stayed between tokens, the next step would split them otherwise than without it.
    private static Tensor PaddingLast(Tensor padding, int first)
    {
        var (_, order) = padding.narrow(1, first, padding.shape[1] - first).to(torch.ScalarType.Int64).sort(dim: 1, stable: true);
        var leading = torch.arange(first, dtype: torch.ScalarType.Int64, device: padding.device).expand(padding.shape[0], -1);
        return torch.cat([leading, order + first], 1);
    }

    /// <summary>The sum of every group's members, [B,N,C] to [B,M,C].</summary>
    public Tensor Sum(Tensor rows) => TensorScope.Run(() =>
        TokenRows.AddTo(TokenRows.Take(rows, Kept), Targets, TokenRows.Take(rows, Merged)));
}

/// <summary>
/// Begins to note which tokens each token is made of: from here on the stream carries sources [B,N,N0], at first the
/// identity.
/// </summary>
public sealed record TrackSources : ITokenStage
{
    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context) => batch.Sources is not null
        ? batch
        : batch with { Sources = torch.eye(batch.Length, device: batch.Tokens.device).expand(batch.Images, -1, -1) };
}
