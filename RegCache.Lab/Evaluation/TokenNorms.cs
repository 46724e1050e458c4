using RegCache.Lab.Data;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// How far some patch tokens stand out at one place of the encoder. An outlier is a patch whose l2 norm exceeds
/// <see cref="OutlierFactor"/> times its image's median patch norm.
/// </summary>
/// <param name="Place"><c>embedding</c>, or <c>block b</c> for the stream that leaves block b.</param>
/// <param name="MedianNorm">Mean over images of the median patch norm.</param>
/// <param name="MaxNorm">Mean over images of the largest patch norm.</param>
/// <param name="Ratio">Mean over images of largest over median patch norm.</param>
/// <param name="Outliers">Mean number of outliers in an image.</param>
/// <param name="FewestOutliers">The smallest number of outliers in an image.</param>
/// <param name="MostOutliers">The largest number of outliers in an image.</param>
/// <param name="OutlierCosine">Mean cosine between outliers of all images; null where there are fewer than two.</param>
/// <param name="PatchCosine">Mean cosine between the other patches of all images; null where there are fewer than two.</param>
/// <param name="MaxMlpHidden">
/// Mean over images of the largest magnitude at the input of the block's second MLP layer; null for the embedding.
/// </param>
public sealed record TokenNorms(
    string Place,
    double MedianNorm,
    double MaxNorm,
    double Ratio,
    double Outliers,
    int FewestOutliers,
    int MostOutliers,
    double? OutlierCosine,
    double? PatchCosine,
    double? MaxMlpHidden)
{
    /// <summary>How many times the median a patch norm must exceed.</summary>
    public const double OutlierFactor = 5;

    /// <summary>Measures the stream that enters block 0 and the one that leaves each block of the float encoder.</summary>
    /// <param name="tower">The encoder.</param>
    /// <param name="images">The set.</param>
    /// <param name="count">How many images, at most.</param>
    /// <param name="run">Batch size and progress.</param>
    /// <returns>The embedding, then one row a block.</returns>
    public static IReadOnlyList<TokenNorms> Measure(VisionTower tower, IImageSource images, int count, EvaluationRun run)
    {
        var (total, done) = (Math.Min(count, images.Count), 0);
        var probe = new NormProbe(tower);
        using var noGradient = torch.inference_mode();
        using var progress = run.Progress.Start(run.Title, total, "images");
        foreach (var batch in images.ReadBatches(run.BatchSize, 0, run.Cancellation))
        {
            using var scope = torch.NewDisposeScope();
            using var owned = batch;
            var wanted = Math.Min(batch.Count, total - done);
            var (device, type) = tower.Placement;
            tower.Forward(batch.Images.narrow(0, 0, wanted).to(type, device), tower.Blocks.Count, probe);
            progress.Report(done += wanted);
            if (done >= total)
            {
                break;
            }
        }

        return probe.Rows();
    }

    private sealed class NormProbe(VisionTower tower) : IActivationProbe
    {
        private readonly PlaceNorms[] _places = [.. Enumerable.Range(0, tower.Blocks.Count + 1).Select(_ => new PlaceNorms())];

        public bool Wants(int block, ActivationKind kind) =>
            kind is ActivationKind.BlockOutput or ActivationKind.MlpHidden || (kind == ActivationKind.BlockInput && block == 0);

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            var special = tower.Config.ClassTokens;
            var patches = value.narrow(1, special, value.shape[1] - special).to(torch.ScalarType.Float32).cpu();
            if (kind == ActivationKind.MlpHidden)
            {
                _places[block + 1].AddHidden(patches);
            }
            else
            {
                _places[kind == ActivationKind.BlockInput ? 0 : block + 1].AddStream(patches);
            }
        }

        public IReadOnlyList<TokenNorms> Rows() =>
            [.. _places.Select((norms, place) => norms.Summarise(place == 0 ? "embedding" : $"block {place - 1}"))];
    }
}
