using System.Globalization;
using CsvHelper;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Registers;

/// <summary>The result of a pipeline run, as the ten greppable lines <c>key : value</c> of the released scripts.</summary>
/// <param name="SensitiveBlock">Quantization-sensitive block k.</param>
/// <param name="SensitiveLayer">Full name of the quantization-sensitive layer.</param>
/// <param name="Candidates">Prefix-extraction block candidates.</param>
/// <param name="Selected">The selected setting.</param>
/// <param name="PrefixAddBlocks">The blocks that see the prefix.</param>
/// <param name="SearchAccuracy">Top-1 accuracy of the selected setting on the search set, percent.</param>
/// <param name="ResultCsv">Path of the final result table.</param>
public sealed record RegCacheReport(
    int SensitiveBlock,
    string SensitiveLayer,
    ValueList<int> Candidates,
    RegCacheSetting Selected,
    ValueList<int> PrefixAddBlocks,
    double SearchAccuracy,
    string ResultCsv)
{
    private const int KeyWidth = 38;

    /// <summary>The ten lines, in the published order.</summary>
    public IReadOnlyList<string> Lines()
    {
        static string Line(string key, object value) =>
            string.Create(CultureInfo.InvariantCulture, $"{key.PadRight(KeyWidth)}: {value}");
        return
        [
            Line("quantization-sensitive block k", SensitiveBlock),
            Line("quantization-sensitive layer", SensitiveLayer),
            Line("prefix-extraction block candidates", string.Join(',', Candidates)),
            Line("selected prefix-extraction block", Selected.ExtractionBlock),
            Line("selected prefix-add blocks", string.Join(',', PrefixAddBlocks)),
            Line("selected prefix token count", Selected.PrefixCount),
            Line("selected token-delete block", Selected.DeleteBlock),
            Line("selected token-delete count", Selected.DeleteCount),
            Line("search accuracy", SearchAccuracy.ToString("0.00", CultureInfo.InvariantCulture)),
            Line("final result CSV", ResultCsv),
        ];
    }
}

/// <summary>A row of the result table, one a run. Accuracies in percent.</summary>
[CsvRecord]
internal sealed partial record ResultRow(
    DateTimeOffset Timestamp,
    string Model,
    string Pretrained,
    string Baseline,
    int WBits,
    int ABits,
    string Scope,
    int K,
    string Layer,
    string Candidates,
    int T,
    string PrefixBlocks,
    int Tau,
    int DeleteBlock,
    int DeleteCount,
    double SearchAccuracy,
    double ValTop1,
    double ValTop5,
    double ValTop1Quantized,
    double ValTop1Float,
    int NVal,
    double Seconds)
{
    public static string FileName(Experiment experiment, RegCacheOptions options) =>
        $"result_{experiment.Name}_{experiment.Options.Quantizer.Name}_w{options.Bits.Weights}a{options.Bits.Activations}.csv";

    public static ResultRow Of(
        Experiment experiment, RegCacheOptions options, RegCacheReport report, FinalScores scores, TimeSpan time) => new(
        DateTimeOffset.Now,
        experiment.Name,
        experiment.Options.Pretrained,
        experiment.Options.Quantizer.Name,
        options.Bits.Weights,
        options.Bits.Activations,
        // Ranges that are never calibrated are taken from what is quantized.
        experiment.Calibrator(options.Bits).Recalibration == Recalibration.Never
            ? experiment.Options.QuantizerValues.Get(NaiveFamily.Scope).ToString().ToLowerInvariant()
            : "calibrated",
        report.SensitiveBlock,
        report.SensitiveLayer,
        string.Join(' ', report.Candidates),
        report.Selected.ExtractionBlock,
        string.Join(' ', report.PrefixAddBlocks),
        report.Selected.PrefixCount,
        report.Selected.DeleteBlock,
        report.Selected.DeleteCount,
        report.SearchAccuracy,
        scores.Both.Accuracy,
        scores.Both.AccuracyTop5,
        scores.Quantized.Accuracy,
        scores.Float.Accuracy,
        scores.Both.Images,
        time.TotalSeconds);
}

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
        var loss = scores.Float.Accuracy - scores.Quantized.Accuracy;
        return new(
            bits.ToString(),
            report.SensitiveLayer,
            report.Selected.ExtractionBlock,
            report.Selected.PrefixCount,
            report.Selected.DeleteBlock,
            report.Selected.DeleteCount,
            scores.Float.Accuracy,
            scores.Quantized.Accuracy,
            scores.PrefixOnly.Accuracy,
            scores.DeleteOnly.Accuracy,
            scores.Both.Accuracy,
            loss > 0 ? 100 * (scores.Both.Accuracy - scores.Quantized.Accuracy) / loss : null);
    }
}

/// <summary>A row of `stage1_sensitivity.csv`; accuracies in percent.</summary>
[CsvRecord]
internal sealed partial record SensitivityCsv(
    int Block, string Layer, long Correct, double Accuracy, double Drop, double Mse)
{
    public static IEnumerable<SensitivityCsv> Rows(SensitivityTable table) => table.Rows.Select(row => new SensitivityCsv(
        row.Block,
        row.Layer.Name(),
        row.Correct,
        100.0 * row.Correct / table.Images,
        100.0 * (table.FloatCorrect - row.Correct) / table.Images,
        row.FeatureMse));
}

/// <summary>
/// A row of `stage5_grid.csv`. A cell whose <c>images</c> is below the set's size was dropped early: its accuracy is a
/// lower bound.
/// </summary>
[CsvRecord]
internal sealed partial record GridCsv(
    int T, int Tau, int Kd, long Correct, double Accuracy, double? Mse, int Images)
{
    public static IEnumerable<GridCsv> Rows(SearchGrid grid) => grid.Cells.Select(cell => new GridCsv(
        cell.ExtractionBlock,
        cell.PrefixCount,
        cell.DeleteCount,
        cell.Correct,
        100.0 * cell.Correct / grid.Images,
        cell.FeatureMse,
        cell.Images));
}
