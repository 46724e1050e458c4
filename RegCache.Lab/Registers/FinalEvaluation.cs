using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Registers;

/// <summary>Stage 6: the selected setting on the validation images, beside what it is made of.</summary>
/// <param name="Float">The float model.</param>
/// <param name="Quantized">Quantized, without RegCache.</param>
/// <param name="PrefixOnly">Quantized, with the prefix alone.</param>
/// <param name="DeleteOnly">Quantized, with deletion alone.</param>
/// <param name="Both">Quantized, with RegCache.</param>
public sealed record FinalScores(
    PlanScore Float, PlanScore Quantized, PlanScore PrefixOnly, PlanScore DeleteOnly, PlanScore Both)
{
    /// <summary>The five plans, in the order of this record, each with ranges calibrated for it.</summary>
    public static IReadOnlyList<EncoderPlan> Plans(
        ICalibrator calibrator, int layers, RegCacheSetting selected, RegisterPrefix? prefix)
    {
        RegCacheSetting[] settings =
        [
            selected with { PrefixCount = 0, DeleteCount = 0 },
            selected with { DeleteCount = 0 },
            selected with { PrefixCount = 0 },
            selected,
        ];
        return
        [
            EncoderPlan.Plain(layers),
            .. RegisterSearch.Plans(calibrator, Recalibration.Every, layers, settings, _ => prefix),
        ];
    }

    /// <summary>Evaluates the five plans in one pass over the images.</summary>
    public static FinalScores Run(
        VisionTower tower,
        ZeroShotClassifier classifier,
        IImageSource images,
        ICalibrator calibrator,
        RegCacheSetting selected,
        RegisterPrefix? prefix,
        EvaluationRun run)
    {
        var scores = PlanEvaluation.Run(
            tower, classifier, images, new(Plans(calibrator, tower.Blocks.Count, selected, prefix)), run, reference: 0);
        return new(scores[0], scores[1], scores[2], scores[3], scores[4]);
    }
}
