using RegCache.Lab.Data;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>
/// How far some patch tokens stand out at one place of the encoder (demo-model.md, table 2). An outlier is a patch whose norm
/// exceeds five times its image's median patch norm.
/// </summary>
/// <param name="Place"><c>embedding</c>, or <c>block b</c> for the stream that leaves block b.</param>
/// <param name="MedianNorm">Mean over images of the median patch norm.</param>
/// <param name="MaxNorm">Mean over images of the largest patch norm.</param>
/// <param name="Ratio">Mean over images of largest over median patch norm.</param>
/// <param name="Outliers">Mean number of outliers in an image.</param>
/// <param name="FewestOutliers">The smallest number of outliers in an image.</param>
/// <param name="MostOutliers">The largest number of outliers in an image.</param>
/// <param name="OutlierCosine">Mean cosine between outliers of all images; null where there are none.</param>
/// <param name="PatchCosine">Mean cosine between the other patches of all images.</param>
public sealed record RegisterStatistics(
    string Place,
    double MedianNorm,
    double MaxNorm,
    double Ratio,
    double Outliers,
    int FewestOutliers,
    int MostOutliers,
    double? OutlierCosine,
    double PatchCosine)
{
    private const double OutlierRatio = 5;

    /// <summary>Measures the stream that enters block 0 and the one that leaves each block.</summary>
    /// <param name="tower">The encoder.</param>
    /// <param name="images">The images.</param>
    /// <param name="batchSize">Images in a batch.</param>
    public static IReadOnlyList<RegisterStatistics> Measure(VisionTower tower, IImageSource images, int batchSize)
    {
        using var noGradient = torch.no_grad();
        var probe = new NormProbe(tower.Blocks.Count);
        foreach (var batch in images.ReadBatches(batchSize))
        {
            using var scope = torch.NewDisposeScope();
            using var owned = batch;
            var (device, type) = tower.Placement;
            tower.Forward(batch.Images.to(type, device), tower.Blocks.Count, probe);
        }

        return probe.Summarise();
    }

    private sealed class NormProbe(int blocks) : IActivationProbe
    {
        private readonly Sums[] _places = [.. Enumerable.Range(0, blocks + 1).Select(_ => new Sums())];

        public bool Wants(int block, ActivationKind kind) =>
            kind == ActivationKind.BlockOutput || (kind == ActivationKind.BlockInput && block == 0);

        public void Observe(int block, ActivationKind kind, Tensor value) =>
            _places[kind == ActivationKind.BlockInput ? 0 : block + 1].Add(value);

        public IReadOnlyList<RegisterStatistics> Summarise() =>
            [.. _places.Select((sums, place) => sums.Summarise(place == 0 ? "embedding" : $"block {place - 1}"))];
    }

    private sealed class Sums
    {
        private readonly List<(double Median, double Max, int Outliers)> _images = [];
        private readonly DirectionSum _outliers = new();
        private readonly DirectionSum _others = new();

        public void Add(Tensor stream)
        {
            using var scope = torch.NewDisposeScope();
            var patches = stream.narrow(1, 1, stream.shape[1] - 1).to(torch.ScalarType.Float32).cpu();
            var norms = patches.square().sum(-1).sqrt();
            var (sorted, _) = norms.sort(1);
            var medians = sorted.select(1, (sorted.shape[1] - 1) / 2);
            var isOutlier = norms > medians.unsqueeze(1) * OutlierRatio;
            var directions = patches / norms.unsqueeze(-1);
            _outliers.Add(directions, isOutlier.to(torch.ScalarType.Float32));
            _others.Add(directions, isOutlier.logical_not().to(torch.ScalarType.Float32));
            var counts = isOutlier.to(torch.ScalarType.Int64).sum(1).data<long>().ToArray();
            var (middle, largest) = (medians.data<float>().ToArray(), sorted.select(1, -1).data<float>().ToArray());
            _images.AddRange(counts.Select((count, image) => ((double)middle[image], (double)largest[image], (int)count)));
        }

        public RegisterStatistics Summarise(string place) => new(
            place,
            _images.Average(image => image.Median),
            _images.Average(image => image.Max),
            _images.Average(image => image.Max / image.Median),
            _images.Average(image => image.Outliers),
            _images.Min(image => image.Outliers),
            _images.Max(image => image.Outliers),
            _outliers.MeanCosine(),
            _others.MeanCosine() ?? 0);
    }

    /// <summary>The mean cosine of all pairs of n unit vectors: (|sum|^2 - n) / (n (n - 1)).</summary>
    private sealed class DirectionSum
    {
        private double[]? _sum;
        private double _count;

        public void Add(Tensor directions, Tensor weights)
        {
            using var scope = torch.NewDisposeScope();
            var sum = (directions * weights.unsqueeze(-1)).sum([0, 1], type: torch.ScalarType.Float64).data<double>().ToArray();
            _sum = _sum is null ? sum : [.. _sum.Zip(sum, (a, b) => a + b)];
            _count += weights.sum().ToDouble();
        }

        public double? MeanCosine() =>
            _count < 2 ? null : (_sum!.Sum(value => value * value) - _count) / (_count * (_count - 1));
    }
}
