using CsvHelper;
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

        public bool Wants(int block, ActivationKind kind) => kind.TakenBy() is not null;

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            using var scope = torch.NewDisposeScope();
            var layer = kind.TakenBy()!.Value;
            // Behind a reparameterized LayerNorm all quantizers are compared in the channels' own units.
            var first = cases[_sharing[0]];
            var moved = first.Plan.Blocks[block].Transform is null ? null : first.Quantizer?.InputOf(block, layer)?.Reparameterization;
            var values = QuantizedLinear.Wide(value);
            values = moved?.Undo(values) ?? values;
            var range = ActivationSums.Of(values);
            var errors = new Dictionary<ITensorQuantizer, QuantizationError>(ReferenceEqualityComparer.Instance);
            foreach (var index in _sharing)
            {
                var key = (index, block, layer);
                var error = cases[index].Quantizer?.InputOf(block, layer) is var (quantizer, reparameterization)
                    ? ErrorOf(values, quantizer, reparameterization, errors)
                    : null;
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
            Tensor values,
            ITensorQuantizer quantizer,
            ScaleReparameterization? reparameterization,
            Dictionary<ITensorQuantizer, QuantizationError> known)
        {
            if (!known.TryGetValue(quantizer, out var error))
            {
                known.Add(quantizer, error = QuantizationError.Of(values, quantizer, reparameterization));
            }

            return error;
        }
    }
}

/// <summary>One encoder of a range study.</summary>
/// <param name="Baseline">Name of the quantizer, or <see cref="Float"/>.</param>
/// <param name="Bits">Its bit-widths; null in float.</param>
/// <param name="Registers">Whether RegCache is on.</param>
/// <param name="Quantizer">The quantizer whose errors are measured; null in float.</param>
/// <param name="Plan">What runs: RegCache, and the quantizer too where it is judged on the stream that it makes itself.</param>
public sealed record RangeCase(string Baseline, QuantizationBits? Bits, bool Registers, IQuantizer? Quantizer, EncoderPlan Plan)
{
    /// <summary>The name of the encoder without a quantizer.</summary>
    public const string Float = "float";
}

/// <summary>The input of one linear layer in one encoder: its range, its tails, and what quantizing it costs.</summary>
/// <param name="Baseline">Name of the quantizer, or "float".</param>
/// <param name="Bits">Bit-widths, or "float".</param>
/// <param name="Registers">Whether RegCache is on.</param>
/// <param name="Block">The block, 0-based.</param>
/// <param name="Layer">The layer inside the block, for example `mlp.c_proj`.</param>
/// <param name="Min">Smallest value of all images.</param>
/// <param name="Max">Largest value of all images.</param>
/// <param name="LInf">Largest magnitude of an image, mean over images.</param>
/// <param name="Kurtosis">Fourth central moment over the squared variance; 3 for a normal distribution. Null for a constant.</param>
/// <param name="Mse">Mean squared quantization error of the input; null in float.</param>
/// <param name="TokenSqnr">
/// Signal over quantization error of a token, decibels, mean over tokens: a few tokens with huge entries do not hide what
/// happens to all others. Null in float.
/// </param>
[CsvRecord]
public sealed partial record RangeRow(
    string Baseline,
    string Bits,
    bool Registers,
    int Block,
    string Layer,
    double Min,
    double Max,
    double LInf,
    double? Kurtosis,
    double? Mse,
    double? TokenSqnr);
