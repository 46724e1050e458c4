using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>
/// The naive quantizer with static activation ranges (<c>--act-mode static</c>): the widest range over all calibration
/// batches of the float stream, with the token stages and prefixes of the plan active.
/// </summary>
/// <param name="tower">The float encoder.</param>
/// <param name="images">The calibration images.</param>
/// <param name="quantizer">Bits, weight granularity and symmetry; ranges are taken over the tensor whatever its scope.</param>
/// <param name="batchSize">Images in a batch.</param>
public sealed class StaticRangeCalibrator(
    VisionTower tower, CalibrationImages images, NaiveQuantizer quantizer, int batchSize) : ICalibrator
{
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
    public override string ToString() => $"{quantizer}, static ranges over batches of {batchSize}, {images}";

    private Dictionary<LinearKind, CalibratedLinear> Linears(BlockLayers layers, int block, Ranges ranges)
    {
        var linears = new Dictionary<LinearKind, CalibratedLinear>();
        foreach (var kind in quantizer.Layers)
        {
            if (layers.Linear(kind) is { } linear)
            {
                using var scope = torch.NewDisposeScope();
                var (low, high) = ranges.Of(block, kind);
                var input = (quantizer with { Scope = ActivationScope.Batch }).ActivationGrid(
                    torch.tensor(new[] { low, high }, device: linear.Weight.device));
                var weight = MinMaxRange.Symmetric(QuantizedLinear.Wide(linear.Weight), quantizer.Bits.Weights, quantizer.Granularity);
                linears[kind] = TensorScope.Keep(new CalibratedLinear(input, weight));
            }
        }

        return linears;
    }

    private sealed class Ranges : IActivationProbe
    {
        private readonly Dictionary<(int Block, LinearKind Kind), (float Low, float High)> _ranges = [];

        public int Images { get; set; }

        public (float Low, float High) Of(int block, LinearKind kind) => _ranges[(block, kind)];

        public bool Wants(int block, ActivationKind kind) => kind.TakenBy() is not null;

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            var layer = kind.TakenBy()!.Value;
            var (low, high) = torch.aminmax(QuantizedLinear.Wide(value));
            FiniteCheck.Require(torch.stack([low, high]), value, layer.FullName(block), Images);
            var (before, range) = (_ranges.GetValueOrDefault((block, layer)), (Low: low.item<float>(), High: high.item<float>()));
            _ranges[(block, layer)] = Images == 0 ? range : (Math.Min(before.Low, range.Low), Math.Max(before.High, range.High));
        }
    }
}
