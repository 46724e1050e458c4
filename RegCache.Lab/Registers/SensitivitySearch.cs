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
