using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

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
        var before = runner.Forward(images, reference, block);
        var first = before.Layout.ProtectedTokens;
        var scores = OutlierScore.Of(before.Tokens.narrow(1, first, before.Length - first));
        var (_, order) = scores.sort(dim: 1, descending: true, stable: true);
        var outliers = order.narrow(1, 0, count) + first;

        var tracked = plan.With(0, seams => seams with { Before = [new TrackSources(), .. seams.Before] });
        var stream = runner.Forward(images, tracked);
        var sources = stream.Sources!;
        var groups = (sources * sources.sum(2, keepdim: true)).sum(1).gather(1, outliers);
        var tokens = stream.Tokens.narrow(1, first, stream.Length - first);
        return new(
            Mean(groups.eq(0)),
            Mean(groups.gt(1)),
            Mean((groups - 1).clamp_min(0)),
            Mean(OutlierScore.Of(tokens).amax([1])));
    }

    private static double Mean(Tensor values) => values.to(torch.ScalarType.Float64).mean().item<double>();
}
