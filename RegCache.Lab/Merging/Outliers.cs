using System.Diagnostics;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>What merging does with the tokens that have the largest entries of the residual stream.</summary>
public enum OutlierHandling
{
    /// <summary>They merge like all others.</summary>
    Ordinary,

    /// <summary>They neither merge nor receive.</summary>
    Protect,

    /// <summary>They merge, or receive, only when no ordinary pair is left.</summary>
    Last,
}

/// <summary>
/// How merging treats outlier tokens: those of an image whose largest entry <c>max_c |x[n,c]|</c> is among the greatest.
/// </summary>
/// <param name="Handling">What happens to them.</param>
/// <param name="Count">How many tokens of an image count as outliers.</param>
public sealed record OutlierRule(OutlierHandling Handling, int Count)
{
    // Subtracted from a pair's cosine for each outlier in it: more than any two cosines differ by, so that such pairs come last.
    private float Price => Handling switch
    {
        OutlierHandling.Ordinary => 0,
        OutlierHandling.Protect => float.PositiveInfinity,
        OutlierHandling.Last => 4,
        _ => throw new UnreachableException(),
    };

    /// <summary>Outliers merge like all other tokens.</summary>
    public static OutlierRule None { get; } = new(OutlierHandling.Ordinary, 0);

    /// <summary>Pairs that surely remain when the outliers of an image all lie in one set of a window.</summary>
    /// <param name="tokens">Tokens of the window.</param>
    internal int Pairs(int tokens) =>
        Math.Max(0, (tokens / 2) - (float.IsInfinity(Price) ? Count : 0));

    /// <summary>What to subtract from a pair's similarity for each of its tokens [B,N]; null for nothing. Nobody wants padding.</summary>
    internal Tensor? Penalty(TokenBatch batch) => TensorScope.Run(() => batch.Padding is { } padding
        ? (OfOutliers(batch) ?? torch.zeros(padding.shape, device: padding.device)).masked_fill(padding, float.PositiveInfinity)
        : OfOutliers(batch));

    private Tensor? OfOutliers(TokenBatch batch)
    {
        var first = batch.Layout.ProtectedTokens;
        var count = (int)Math.Min(Count, batch.Length - first);
        if (Price == 0 || count <= 0)
        {
            return null;
        }

        return TensorScope.Run(() =>
        {
            using var noGradient = torch.no_grad();
            var outliers = Largest(batch, count);
            return torch.zeros([batch.Images, batch.Length], device: batch.Tokens.device)
                .scatter_(1, outliers, torch.full([batch.Images, count], Price, device: batch.Tokens.device));
        });
    }

    /// <summary>The free tokens of every image with the largest entries, indices into the sequence [B,count], int64.</summary>
    internal static Tensor Largest(TokenBatch batch, int count)
    {
        var first = batch.Layout.ProtectedTokens;
        var scores = OutlierScore.OfFree(batch);
        var (_, order) = scores.sort(dim: 1, descending: true, stable: true);
        return order.narrow(1, 0, count) + first;
    }
}

/// <summary>What becomes of an image's outlier tokens under a plan, as means over images.</summary>
/// <param name="Deleted">Share of the outliers that are dropped, 0..1.</param>
/// <param name="Merged">Share of the outliers that end in a group with other tokens, 0..1.</param>
/// <param name="Companions">Ordinary and other tokens that share a group with an outlier, per outlier.</param>
/// <param name="LargestEntry">Largest magnitude of the stream that leaves the last block.</param>
public sealed record OutlierFate(double Deleted, double Merged, double Companions, double LargestEntry)
{
    /// <summary>Follows the outliers of some images.</summary>
    /// <param name="runner">Runs the plans.</param>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="reference">The plan without merging or deletion, in whose stream the outliers are found.</param>
    /// <param name="plan">The plan that may merge or delete them.</param>
    /// <param name="block">Block whose input tells the outliers: those with the largest entries.</param>
    /// <param name="count">Outliers of an image.</param>
    public static OutlierFate Of(
        PlanRunner runner, Tensor images, EncoderPlan reference, EncoderPlan plan, int block, int count)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var outliers = OutlierRule.Largest(runner.Forward(images, reference, block), count);
        var tracked = plan.With(0, seams => seams with { Before = [new TrackSources(), .. seams.Before] });
        var stream = runner.Forward(images, tracked);
        var sources = stream.Sources!;
        var groups = (sources * sources.sum(2, keepdim: true)).sum(1).gather(1, outliers);
        var first = stream.Layout.ProtectedTokens;
        var tokens = stream.Tokens.narrow(1, first, stream.Length - first);
        return new(
            Mean(groups.eq(0)),
            Mean(groups.gt(1)),
            Mean((groups - 1).clamp_min(0)),
            Mean(OutlierScore.Of(tokens).amax([1])));
    }

    private static double Mean(Tensor values) => values.to(torch.ScalarType.Float64).mean().item<double>();
}
