using CsvHelper;
using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Registers;

/// <summary>The CSV files of a run.</summary>
internal static class RegCacheTables
{
    public static string ResultFileName(RegCacheSubject subject, RegCacheOptions options) =>
        $"result_{subject.Model}_{BaselineNames.NameOf(subject.Baseline)}_w{options.Bits.Weights}a{options.Bits.Activations}.csv";

    public static void Write(RunDirectory directory, SensitivityTable table) => CsvTable.Write(
        directory.PathOf("stage1_sensitivity.csv"),
        table.Rows.Select(row => new SensitivityCsv(
            row.Block,
            row.Layer.Name(),
            row.Correct,
            100.0 * row.Correct / table.Images,
            100.0 * (table.FloatCorrect - row.Correct) / table.Images,
            row.FeatureMse)));

    public static void Write(RunDirectory directory, SearchGrid grid, string stage) => CsvTable.Write(
        directory.PathOf($"{stage}_grid.csv"),
        grid.Cells.Select(cell => new GridCsv(
            cell.ExtractionBlock,
            cell.PrefixCount,
            cell.DeleteCount,
            cell.Correct,
            100.0 * cell.Correct / grid.Images,
            cell.FeatureMse,
            cell.Images)));

    public static void Append(string path, ResultRow row) => CsvTable.Append(path, row);
}

/// <summary>A row of `stage1_sensitivity.csv`; accuracies in percent.</summary>
[CsvRecord]
internal sealed partial record SensitivityCsv(
    int Block, string Layer, long Correct, double Accuracy, double Drop, double Mse);

/// <summary>
/// A row of `stage5_grid.csv`. A cell whose <c>images</c> is below the set's size was dropped early: its accuracy is a
/// lower bound.
/// </summary>
[CsvRecord]
internal sealed partial record GridCsv(
    int T, int Tau, int Kd, long Correct, double Accuracy, double? Mse, int Images);
