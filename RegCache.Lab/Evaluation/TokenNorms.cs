using RegCache.Lab.Data;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>Norms of the patch tokens that leave a block, as means over images.</summary>
/// <param name="Block">The block, 0-based.</param>
/// <param name="MedianNorm">Median l2 norm of an image's patch tokens.</param>
/// <param name="LargestNorm">Largest l2 norm of an image's patch tokens.</param>
/// <param name="Ratio">Largest over median norm of an image.</param>
/// <param name="Outliers">Patch tokens of an image whose norm is above five times the median.</param>
/// <param name="LargestFc2Input">Largest magnitude at the input of the block's second MLP layer.</param>
public sealed record TokenNorms(
    int Block, double MedianNorm, double LargestNorm, double Ratio, double Outliers, double LargestFc2Input)
{
    private const double OutlierFactor = 5;

    /// <summary>Measures the float encoder on the first images of a set.</summary>
    /// <param name="tower">The encoder.</param>
    /// <param name="images">The set.</param>
    /// <param name="count">How many images, at most.</param>
    /// <param name="run">Batch size and progress.</param>
    /// <returns>One row a block.</returns>
    public static IReadOnlyList<TokenNorms> Measure(VisionTower tower, IImageSource images, int count, EvaluationRun run)
    {
        var total = Math.Min(count, images.Count);
        var probe = new Probe(tower.Blocks.Count);
        using var noGradient = torch.inference_mode();
        using var progress = run.Progress.Start(run.Title, total, "images");
        foreach (var batch in images.ReadBatches(run.BatchSize, 0, run.Cancellation))
        {
            using var scope = torch.NewDisposeScope();
            using var owned = batch;
            var wanted = Math.Min(batch.Count, total - probe.Images);
            var (device, type) = tower.Placement;
            tower.Forward(batch.Images.narrow(0, 0, wanted).to(type, device), tower.Blocks.Count, probe);
            probe.Images += wanted;
            progress.Report(probe.Images);
            if (probe.Images >= total)
            {
                break;
            }
        }

        return probe.Rows();
    }

    private sealed class Probe(int layers) : IActivationProbe
    {
        private readonly double[,] _sums = new double[layers, 5];

        public int Images { get; set; }

        public bool Wants(int block, ActivationKind kind) => kind is ActivationKind.BlockOutput or ActivationKind.MlpHidden;

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            var patches = value.narrow(1, 1, value.shape[1] - 1).to(torch.ScalarType.Float32);
            if (kind == ActivationKind.MlpHidden)
            {
                Add(block, 4, patches.abs().amax([1, 2]));
                return;
            }

            var norms = patches.square().sum([2]).sqrt();
            var (ascending, _) = norms.sort(dim: 1);
            var median = ascending.select(1, (norms.shape[1] - 1) / 2);
            var largest = norms.amax([1]);
            Add(block, 0, median);
            Add(block, 1, largest);
            Add(block, 2, largest / median);
            Add(block, 3, (norms > (median * OutlierFactor).unsqueeze(1)).to(torch.ScalarType.Float32).sum([1]));
        }

        public IReadOnlyList<TokenNorms> Rows() =>
        [
            .. Enumerable.Range(0, layers).Select(block => new TokenNorms(
                block, Mean(block, 0), Mean(block, 1), Mean(block, 2), Mean(block, 3), Mean(block, 4))),
        ];

        private void Add(int block, int column, Tensor perImage) => _sums[block, column] += perImage.sum().item<float>();

        private double Mean(int block, int column) => _sums[block, column] / Images;
    }
}
