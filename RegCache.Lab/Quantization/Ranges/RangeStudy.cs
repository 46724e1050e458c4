using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Quantization.Ranges;

/// <summary>
/// Measures the inputs of all linear layers in many encoders, in one pass over the images: outlier tokens stretch ranges,
/// and a stretched range costs bits.
/// </summary>
public static class RangeStudy
{
    private static readonly Dictionary<ActivationKind, LinearKind> _inputs = new()
    {
        [ActivationKind.AttentionNorm] = LinearKind.AttentionIn,
        [ActivationKind.AttentionContext] = LinearKind.AttentionOut,
        [ActivationKind.MlpNorm] = LinearKind.MlpIn,
        [ActivationKind.MlpHidden] = LinearKind.MlpOut,
    };

    /// <summary>Runs the encoders.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="images">The images.</param>
    /// <param name="count">How many of them, evenly spread over the set; at most all.</param>
    /// <param name="cases">The encoders. Each quantizer is judged on the stream of its case's plan.</param>
    /// <param name="run">Batch size and progress.</param>
    /// <returns>One row for each case, block and layer, in this order.</returns>
    public static IReadOnlyList<RangeRow> Run(
        VisionTower tower, IImageSource images, int count, IReadOnlyList<RangeCase> cases, EvaluationRun run)
    {
        count = Math.Min(count, images.Count);
        int[] chosen = [.. Enumerable.Range(0, count).Select(index => (int)((long)index * images.Count / count))];
        var (device, type) = tower.Placement;
        var tree = new PlanTree([.. cases.Select(one => one.Plan)]);
        var probe = new Probe(cases);
        var done = 0;
        using var runner = new PlanRunner(tower);
        using var progress = run.Progress.Start(run.Title, count, "images");
        foreach (var indices in chosen.Chunk(run.BatchSize))
        {
            run.Cancellation.ThrowIfCancellationRequested();
            using var scope = torch.NewDisposeScope();
            runner.Run(images.Read(indices).to(type, device), tree, static (_, _) => { }, probe: probe);
            progress.Report(done += indices.Length);
        }

        return probe.Rows(tower.Blocks.Count);
    }

    private sealed class Probe(IReadOnlyList<RangeCase> cases) : IActivationProbe
    {
        private readonly Dictionary<(int Case, int Block, LinearKind Layer), (ActivationSums Range, QuantizationError? Error)> _sums = [];

        private IReadOnlyList<int> _sharing = [];

        public void Enter(IReadOnlyList<int> plans) => _sharing = plans;

        public bool Wants(int block, ActivationKind kind) => _inputs.ContainsKey(kind);

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            var layer = _inputs[kind];
            // Behind a reparameterised LayerNorm all quantizers are compared in the channels' own units.
            var first = cases[_sharing[0]];
            var values = QuantizedLinear.Wide(value);
            values = first.Plan.Blocks[block].Transform is null ? values : first.Quantizer?.InputOf(block, layer)?.Shift?.Undo(values) ?? values;
            var range = ActivationSums.Of(values);
            var errors = new Dictionary<ITensorQuantizer, QuantizationError>(ReferenceEqualityComparer.Instance);
            foreach (var index in _sharing)
            {
                var key = (index, block, layer);
                var error = cases[index].Quantizer?.InputOf(block, layer) is var (quantizer, shift) ? ErrorOf(values, quantizer, shift, errors) : null;
                _sums[key] = _sums.TryGetValue(key, out var before) ? (before.Range + range, before.Error + error) : (range, error);
            }
        }

        public IReadOnlyList<RangeRow> Rows(int blocks) =>
        [
            .. from entry in cases.Index()
               from block in Enumerable.Range(0, blocks)
               from layer in LinearKinds.All
               where _sums.ContainsKey((entry.Index, block, layer))
               let sums = _sums[(entry.Index, block, layer)]
               select new RangeRow(
                   entry.Item.Baseline,
                   entry.Item.Bits?.ToString() ?? RangeCase.Float,
                   entry.Item.Registers,
                   block,
                   layer.Name(),
                   sums.Range.Min,
                   sums.Range.Max,
                   sums.Range.MeanLargest,
                   sums.Range.Kurtosis,
                   sums.Error?.Squared / sums.Range.Count,
                   sums.Error?.MeanDecibels),
        ];

        // Cases that share a block's calibration share its errors.
        private static QuantizationError ErrorOf(
            Tensor values, ITensorQuantizer quantizer, ScaleReparameterization? shift, Dictionary<ITensorQuantizer, QuantizationError> known)
        {
            if (!known.TryGetValue(quantizer, out var error))
            {
                known.Add(quantizer, error = QuantizationError.Of(values, quantizer, shift));
            }

            return error;
        }
    }
}
