using RegCache.Lab.Quantization;

namespace RegCache.Lab.Registers;

/// <summary>One line of a results table: what RegCache chose at one bit-width, and final top-1 accuracies in percent.</summary>
/// <param name="Bits">The bit-widths.</param>
/// <param name="SensitiveLayer">The most sensitive layer.</param>
/// <param name="ExtractionBlock">The block that the prefix comes from.</param>
/// <param name="PrefixCount">Prefix tokens.</param>
/// <param name="DeleteBlock">The block before which tokens are deleted.</param>
/// <param name="DeleteCount">Deleted tokens.</param>
/// <param name="Float">The float model.</param>
/// <param name="Quantized">Quantized without RegCache.</param>
/// <param name="PrefixOnly">With the prefix alone.</param>
/// <param name="DeleteOnly">With deletion alone.</param>
/// <param name="Both">With RegCache.</param>
/// <param name="Recovered">Share of the loss that RegCache recovers, percent; null without a loss.</param>
public sealed record RegCacheSummary(
    string Bits,
    string SensitiveLayer,
    int ExtractionBlock,
    int PrefixCount,
    int DeleteBlock,
    int DeleteCount,
    double Float,
    double Quantized,
    double PrefixOnly,
    double DeleteOnly,
    double Both,
    double? Recovered)
{
    /// <summary>Of a finished pipeline run.</summary>
    public static RegCacheSummary Of(QuantizationBits bits, RegCacheResult result)
    {
        var (report, scores) = (result.Report, result.Scores);
        var loss = scores.Float.Accuracy - scores.Without.Accuracy;
        return new(
            bits.ToString(),
            report.SensitiveLayer,
            report.Selected.ExtractionBlock,
            report.Selected.PrefixCount,
            report.Selected.DeleteBlock,
            report.Selected.DeleteCount,
            scores.Float.Accuracy,
            scores.Without.Accuracy,
            scores.PrefixOnly.Accuracy,
            scores.DeleteOnly.Accuracy,
            scores.Both.Accuracy,
            loss > 0 ? 100 * (scores.Both.Accuracy - scores.Without.Accuracy) / loss : null);
    }
}
