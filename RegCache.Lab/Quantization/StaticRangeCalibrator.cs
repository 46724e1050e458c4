using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>
/// The naive quantizer with static activation ranges (<c>--act-mode static</c>): the widest range over all calibration
/// batches of the float stream, with the token stages and prefixes of the plan active. Several processes share the batches; the widest of
/// their ranges are those of one process.
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
        var (processes, ranges) = (images.Processes, new Ranges());
        var plain = new EncoderPlan([.. plan.Blocks.Select(block => block with { Transform = null })]);
        using var runner = new PlanRunner(tower);
        foreach (var (index, batch) in images.Batches(batchSize).Index().Where(batch => batch.Index % processes.Size == processes.Rank))
        {
            images.Cancellation.ThrowIfCancellationRequested();
            ranges.FirstImage = index * batchSize;
            runner.Run(batch, plain, ranges).Dispose();
        }

        ranges.Widen(processes, [.. tower.Blocks.SelectMany((_, block) => quantizer.Layers.Select(kind => (block, kind)))]);
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
        private static readonly (float Low, float High) _nothing = (float.PositiveInfinity, float.NegativeInfinity);

        private readonly Dictionary<(int Block, LinearKind Kind), (float Low, float High)> _ranges = [];

        // Index of the first image of the batch.
        public int FirstImage { get; set; }

        public (float Low, float High) Of(int block, LinearKind kind) => _ranges[(block, kind)];

        // To the ranges of all processes. One that has had no batch gives ranges that widen none.
        public void Widen(IProcessGroup processes, (int Block, LinearKind Kind)[] layers)
        {
            if (processes.Size == 1)
            {
                return;
            }

            var own = layers.Select(layer => _ranges.GetValueOrDefault(layer, _nothing));
            var found = processes.GatherNumbers([.. own.SelectMany(range => new double[] { range.Low, range.High })]);
            foreach (var (index, layer) in layers.Index())
            {
                _ranges[layer] = (
                    (float)found.Select(numbers => numbers[2 * index]).Aggregate(Math.Min),
                    (float)found.Select(numbers => numbers[(2 * index) + 1]).Aggregate(Math.Max));
            }
        }

        public bool Wants(int block, ActivationKind kind) => kind.TakenBy() is not null;

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            var layer = kind.TakenBy()!.Value;
            var (low, high) = torch.aminmax(QuantizedLinear.Wide(value));
            FiniteCheck.Require(torch.stack([low, high]), value, layer.FullName(block), FirstImage);
            var before = _ranges.GetValueOrDefault((block, layer), _nothing);
            _ranges[(block, layer)] = (Math.Min(before.Low, low.item<float>()), Math.Max(before.High, high.item<float>()));
        }
    }
}
