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
            var special = tower.LayoutIn(block).ProtectedTokens;
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

/// <summary>The patch norms of some images after one block.</summary>
/// <param name="Columns">Columns of the patch grid.</param>
/// <param name="Norms">For each image the l2 norms of its patches, row-major.</param>
public sealed record PatchNorms(int Columns, IReadOnlyList<IReadOnlyList<float>> Norms)
{
    /// <summary>Runs the float encoder up to a block.</summary>
    /// <param name="tower">The encoder.</param>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="block">The block that the tokens leave, 0-based.</param>
    public static PatchNorms Measure(VisionTower tower, Tensor images, int block)
    {
        var probe = new Probe(block, tower.LayoutIn(block).ProtectedTokens);
        using var noGradient = torch.inference_mode();
        using var scope = torch.NewDisposeScope();
        var (device, type) = tower.Placement;
        tower.Forward(images.to(type, device), block + 1, probe);
        return new(tower.Config.Grid.Width, probe.Norms);
    }

    /// <summary>Which patches of an image are outliers, as <see cref="TokenNorms"/> defines them; row-major.</summary>
    public IReadOnlyList<bool> Outliers(int image)
    {
        var ascending = Norms[image].Order().ToArray();
        var limit = ascending[(ascending.Length - 1) / 2] * TokenNorms.OutlierFactor;
        return [.. Norms[image].Select(norm => norm > limit)];
    }

    private sealed class Probe(int wanted, int special) : IActivationProbe
    {
        public IReadOnlyList<IReadOnlyList<float>> Norms { get; private set; } = [];

        public bool Wants(int block, ActivationKind kind) => block == wanted && kind == ActivationKind.BlockOutput;

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            var patches = value.narrow(1, special, value.shape[1] - special).to(torch.ScalarType.Float32);
            var norms = patches.square().sum(-1).sqrt().cpu();
            Norms = [.. norms.data<float>().ToArray().Chunk((int)norms.shape[1])];
        }
    }
}

/// <summary>Gathers patch norms and directions at one place of the encoder.</summary>
internal sealed class PlaceNorms
{
    private readonly List<(double Median, double Max, int Outliers)> _images = [];
    private readonly List<float> _hidden = [];
    private readonly DirectionSum _outliers = new();
    private readonly DirectionSum _others = new();

    /// <summary>Adds the patch tokens [B,N,C] of a batch.</summary>
    public void AddStream(Tensor patches)
    {
        using var scope = torch.NewDisposeScope();
        var norms = patches.square().sum(-1).sqrt();
        var (sorted, _) = norms.sort(1);
        var medians = sorted.select(1, (sorted.shape[1] - 1) / 2);
        var isOutlier = norms > medians.unsqueeze(1) * TokenNorms.OutlierFactor;
        var directions = patches / norms.unsqueeze(-1);
        _outliers.Add(directions, isOutlier.to(torch.ScalarType.Float32));
        _others.Add(directions, isOutlier.logical_not().to(torch.ScalarType.Float32));
        var counts = isOutlier.to(torch.ScalarType.Int64).sum(1).data<long>().ToArray();
        var (middle, largest) = (medians.data<float>().ToArray(), sorted.select(1, -1).data<float>().ToArray());
        _images.AddRange(counts.Select((count, image) => ((double)middle[image], (double)largest[image], (int)count)));
    }

    /// <summary>Adds the patches' values [B,N,R*C] at the input of the second MLP layer.</summary>
    public void AddHidden(Tensor patches)
    {
        using var scope = torch.NewDisposeScope();
        _hidden.AddRange(patches.abs().amax([1, 2]).data<float>().ToArray());
    }

    public TokenNorms Summarise(string place) => new(
        place,
        _images.Average(image => image.Median),
        _images.Average(image => image.Max),
        _images.Average(image => image.Max / image.Median),
        _images.Average(image => image.Outliers),
        _images.Min(image => image.Outliers),
        _images.Max(image => image.Outliers),
        _outliers.MeanCosine(),
        _others.MeanCosine(),
        _hidden.Count == 0 ? null : _hidden.Average());

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
