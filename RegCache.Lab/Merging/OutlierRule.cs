using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// How merging treats outlier tokens: those of an image whose largest entry <c>max_c |x[n,c]|</c> is among the greatest.
/// </summary>
/// <param name="Handling">What happens to them.</param>
/// <param name="Count">How many tokens of an image count as outliers.</param>
public sealed record OutlierRule(OutlierHandling Handling, int Count)
{
    // More than any two cosines differ by.
    private const float Postponed = 4;

    /// <summary>Outliers merge like all other tokens.</summary>
    public static OutlierRule None { get; } = new(OutlierHandling.Ordinary, 0);

    /// <summary>Pairs that surely remain when the outliers of an image all lie in one set of a window.</summary>
    /// <param name="tokens">Tokens of the window.</param>
    internal int Pairs(int tokens) =>
        Math.Max(0, (tokens / 2) - (Handling == OutlierHandling.Protect ? Count : 0));

    /// <summary>What to subtract from a pair's similarity for each of its tokens [B,N]; null for nothing.</summary>
    internal Tensor? Penalty(TokenBatch batch)
    {
        var first = batch.Layout.ProtectedTokens;
        var count = (int)Math.Min(Count, batch.Length - first);
        if (Handling == OutlierHandling.Ordinary || count <= 0)
        {
            return null;
        }

        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var scores = OutlierScore.Of(batch.Tokens.narrow(1, first, batch.Length - first));
        var (_, order) = scores.sort(dim: 1, descending: true, stable: true);
        var outliers = order.narrow(1, 0, count) + first;
        var price = Handling == OutlierHandling.Protect ? float.PositiveInfinity : Postponed;
        return torch.zeros([batch.Images, batch.Length], device: batch.Tokens.device)
            .scatter_(1, outliers, torch.full([batch.Images, count], price, device: batch.Tokens.device))
            .MoveToOuterDisposeScope();
    }
}
