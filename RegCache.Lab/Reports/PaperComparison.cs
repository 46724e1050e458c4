using CsvHelper;

namespace RegCache.Lab.Reports;

/// <summary>A published number beside the measured one; a row of <c>table.csv</c>.</summary>
/// <param name="Table">The table's name.</param>
/// <param name="Row">What the number is of, in words.</param>
/// <param name="Measure">What it measures, by its name in the paper file.</param>
/// <param name="Unit">Its unit.</param>
/// <param name="Published">The published number.</param>
/// <param name="Measured">The kit's own; null where it was not run.</param>
/// <param name="Difference">Measured minus published.</param>
/// <param name="MeasuredOn">The model and data of <paramref name="Measured"/>; empty where it was not run.</param>
/// <param name="NotRun">Why it was not run; empty where it was.</param>
/// <param name="Source">Where the published number was read.</param>
/// <param name="Note">What else is to be known of it.</param>
[CsvRecord]
public sealed partial record PaperComparison(
    string Table,
    string Row,
    string Measure,
    string Unit,
    double Published,
    double? Measured,
    double? Difference,
    string MeasuredOn,
    string NotRun,
    string Source,
    string Note)
{
    /// <summary>All numbers of a table, in its order.</summary>
    /// <param name="table">The table.</param>
    /// <param name="measured">What was measured, by row and measure.</param>
    /// <param name="notRun">Why a row was not run; null or empty where nothing is to say.</param>
    public static IReadOnlyList<PaperComparison> Of(
        PublishedTable table, IReadOnlyDictionary<(PublishedRow Row, string Measure), MeasuredNumber> measured, Func<PublishedRow, string, string?> notRun) =>
    [
        .. from row in table.Rows
           from value in row.Values
           let found = measured.GetValueOrDefault((row, value.Key))
           select new PaperComparison(
               table.Id,
               row.InWords(),
               value.Key,
               table.Measures[value.Key].Unit,
               value.Value,
               found?.Value,
               found?.Value - value.Value,
               found?.On ?? "",
               found is null ? notRun(row, value.Key) ?? "" : "",
               table.SourceOf(row).InWords(),
               row.Note ?? row.Source?.Note ?? table.Source.Note ?? ""),
    ];
}

/// <summary>What the kit measured for one number of a published table.</summary>
/// <param name="Value">The number.</param>
/// <param name="On">The model and data that it was measured on.</param>
public sealed record MeasuredNumber(double Value, string On);
