namespace RegCache.Lab.Merging;

/// <summary>
/// Matchings with given sets: every source merges into its most similar destination (token-merging.md, section 9).
/// </summary>
public static class NearestMatching
{
    /// <summary>Merges all sources.</summary>
    /// <param name="metric">What similarity is the cosine of [B,N,C]; computed in float32.</param>
    /// <param name="sources">Tokens to merge away [B,R], int64.</param>
    /// <param name="destinations">Tokens that stay [B,M], int64, in the order in which they go on.</param>
    /// <param name="protectedDestinations">How many leading destinations receive nothing.</param>
    public static TokenMerge Match(Tensor metric, Tensor sources, Tensor destinations, int protectedDestinations = 0)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var unit = Similarity.Normalize(metric);
        Tensor Of(Tensor tokens) => unit.gather(1, tokens.unsqueeze(-1).expand(-1, -1, unit.shape[2]));
        var receivers = destinations.narrow(1, protectedDestinations, destinations.shape[1] - protectedDestinations);
        var (_, nearest) = Of(sources).matmul(Of(receivers).transpose(1, 2)).max(-1);
        return new TokenMerge(destinations.alias(), sources.alias(), nearest + protectedDestinations).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Of every <paramref name="k"/> tokens in a row the last is a destination and the others merge; an incomplete last group
    /// is dropped. A reference for comparisons: it knows no protected tokens.
    /// </summary>
    /// <param name="metric">What similarity is the cosine of [B,N,C].</param>
    /// <param name="k">Tokens in a group, at least 2.</param>
    public static TokenMerge MatchEvery(Tensor metric, int k)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 2);
        using var scope = torch.NewDisposeScope();
        var groups = metric.shape[1] / k;
        var tokens = torch.arange(groups * k, dtype: torch.ScalarType.Int64, device: metric.device).view(groups, k);
        Tensor PerImage(Tensor indices) => indices.flatten().expand(metric.shape[0], -1);
        return Match(metric, PerImage(tokens.narrow(1, 0, k - 1)), PerImage(tokens.narrow(1, k - 1, 1))).MoveToOuterDisposeScope();
    }
}
