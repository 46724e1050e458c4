using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>
/// The naive quantizer with static activation ranges (`--act-mode static`): the largest range over all calibration
/// batches of the float stream, with the token stages and prefixes of the plan active (quantizers.md, section 1).
/// </summary>
/// <param name="tower">The float encoder.</param>
/// <param name="images">The calibration images.</param>
/// <param name="quantizer">Bits, weight granularity and symmetry; ranges are taken over the tensor whatever its scope.</param>
/// <param name="batchSize">Images in a batch.</param>
public sealed class StaticRangeCalibrator(
    VisionTower tower, CalibrationImages images, NaiveQuantizer quantizer, int batchSize) : ICalibrator
{
    private static readonly Dictionary<ActivationKind, LinearKind> _inputs = new()
    {
        [ActivationKind.AttentionNorm] = LinearKind.AttentionIn,
        [ActivationKind.AttentionContext] = LinearKind.AttentionOut,
        [ActivationKind.MlpNorm] = LinearKind.MlpIn,
        [ActivationKind.MlpHidden] = LinearKind.MlpOut,
    };

    /// <inheritdoc />
    public Recalibration Recalibration => Recalibration.Every;

    /// <inheritdoc />
    public IQuantizer Calibrate(EncoderPlan plan)
    {
        var ranges = new Ranges();
        var plain = new EncoderPlan([.. plan.Blocks.Select(block => block with { Transform = null })]);
        using var runner = new PlanRunner(tower);
        foreach (var batch in images.Batches(batchSize))
        {
            images.Cancellation.ThrowIfCancellationRequested();
            runner.Run(batch, plain, ranges).Dispose();
            ranges.Images += (int)batch.shape[0];
        }

        return new CalibratedQuantizer(
            ToString(), null, [.. tower.Blocks.Select((layers, block) => new CalibratedBlock(Linears(layers, block, ranges), null))]);
    }

    /// <inheritdoc />
    public override string ToString() => $"static {quantizer}, batches of {batchSize}, {images}";

    private Dictionary<LinearKind, CalibratedLinear> Linears(BlockLayers layers, int block, Ranges ranges)
    {
        var linears = new Dictionary<LinearKind, CalibratedLinear>();
        foreach (var kind in quantizer.Layers)
        {
            // With returns the layers unchanged where the kind is absent, as it is from a memory layer.
            layers.With(kind, linear =>
            {
                using var scope = torch.NewDisposeScope();
                var (low, high) = ranges.Of(block, kind);
                var input = (quantizer with { Scope = ActivationScope.Batch }).ActivationGrid(
                    torch.tensor(new[] { low, high }, device: linear.Weight.device));
                var weight = MinMaxRange.Symmetric(QuantizedLinear.Wide(linear.Weight), quantizer.Bits.Weights, quantizer.Granularity);
                linears[kind] = new(Kept(input), Kept(weight));
                return linear;
            });
        }

        return linears;
    }

    private static UniformQuantizer Kept(UniformQuantizer grid)
    {
        grid.Scale.DetachFromDisposeScope();
        grid.ZeroPoint?.DetachFromDisposeScope();
        return grid;
    }

    private sealed class Ranges : IActivationProbe
    {
        private readonly Dictionary<(int Block, LinearKind Kind), (float Low, float High)> _ranges = [];

        public int Images { get; set; }

        public (float Low, float High) Of(int block, LinearKind kind) => _ranges[(block, kind)];

        public bool Wants(int block, ActivationKind kind) => _inputs.ContainsKey(kind);

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            var layer = _inputs[kind];
            var (low, high) = torch.aminmax(QuantizedLinear.Wide(value));
            FiniteCheck.Require(torch.stack([low, high]), value, layer.FullName(block), Images);
            var (before, range) = (_ranges.GetValueOrDefault((block, layer)), (Low: low.item<float>(), High: high.item<float>()));
            _ranges[(block, layer)] = Images == 0 ? range : (Math.Min(before.Low, range.Low), Math.Max(before.High, range.High));
        }
    }
}
