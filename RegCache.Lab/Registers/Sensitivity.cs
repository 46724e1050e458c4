using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Registers;

/// <summary>
/// Stage 1: quantizes one layer at a time and counts what the model still gets right. All probes run as one plan tree,
/// so the float blocks before a probe run once.
/// </summary>
public static class SensitivitySearch
{
    /// <summary>The probes: the float encoder first, then every block and layer, block-major.</summary>
    public static PlanTree Plans(int layers, IQuantizer quantizer)
    {
        var plain = EncoderPlan.Plain(layers);
        var transforms = LinearKinds.All.Select(quantizer.Only).ToArray();
        return new(
        [
            plain,
            .. Enumerable.Range(0, layers).SelectMany(block => transforms.Select(
                transform => plain.With(block, it => it with { Transform = transform }))),
        ]);
    }

    /// <summary>Runs the probes over a set of images.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="classifier">Turns features into logits.</param>
    /// <param name="images">The search set.</param>
    /// <param name="quantizer">The baseline at the bit-widths of the probe.</param>
    /// <param name="evaluation">Batch size, progress, resumption.</param>
    public static SensitivityTable Run(
        VisionTower tower, ZeroShotClassifier classifier, IImageSource images, IQuantizer quantizer, EvaluationRun evaluation)
    {
        var tree = Plans(tower.Blocks.Count, quantizer);
        var scores = PlanEvaluation.Run(tower, classifier, images, tree, evaluation, reference: 0);
        return new(
            scores[0].Images,
            scores[0].Correct,
            [
                .. scores.Skip(1).Select((score, index) => new SensitivityRow(
                    index / LinearKinds.All.Count, LinearKinds.All[index % LinearKinds.All.Count], score.Correct, score.FeatureMse)),
            ]);
    }
}

/// <summary>One probed layer.</summary>
/// <param name="Block">Block, 0-based.</param>
/// <param name="Layer">The layer of the block that was quantized.</param>
/// <param name="Correct">Correct top-1 predictions with this layer quantized.</param>
/// <param name="FeatureMse">Mean over images and channels of the squared change of the normalised image feature.</param>
public sealed record SensitivityRow(int Block, LinearKind Layer, long Correct, double FeatureMse);

/// <summary>What happens when one layer alone is quantized.</summary>
/// <param name="Images">Number of images.</param>
/// <param name="FloatCorrect">Correct predictions of the float model.</param>
/// <param name="Rows">One row for each block and layer, block-major.</param>
public sealed record SensitivityTable(int Images, long FloatCorrect, ValueList<SensitivityRow> Rows)
{
    // Below this difference in accuracy two layers of different blocks cannot be told apart by counting.
    private const double Indistinct = 0.01;

    /// <summary>The quantization-sensitive layer: the lowest accuracy, or the largest error; the first on ties.</summary>
    public SensitivityRow Worst(SearchMetric metric) => metric == SearchMetric.Accuracy
        ? Rows.MinBy(row => row.Correct)!
        : Rows.MaxBy(row => row.FeatureMse)!;

    /// <summary>
    /// Whether accuracy does not single out a block: the second-worst layer is within one point of the worst and
    /// belongs to another block, as at 4 bits, where several layers may be at chance.
    /// </summary>
    public bool AccuracyIsIndistinct()
    {
        var worst = Worst(SearchMetric.Accuracy);
        var second = Rows.Where(row => row != worst).MinBy(row => row.Correct);
        return second is not null && second.Block != worst.Block && second.Correct - worst.Correct <= Indistinct * Images;
    }
}
