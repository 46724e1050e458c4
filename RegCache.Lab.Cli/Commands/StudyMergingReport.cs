using RegCache.Lab.Merging;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Table and plot of a merging study, the published numbers beside its own.</summary>
internal static class StudyMergingReport
{
    public static void Print(IAnsiConsole console, IReadOnlyList<MergingStudyRow> rows, IReadOnlyList<PublishedResult> published)
    {
        var table = new Table().AddColumns("method", "r", "top-1 %", "top-5 %", "GMACs", "MACs ratio", "images/s", "speed ratio", "tokens");
        foreach (var row in rows)
        {
            table.AddRow(
                row.Method, $"{row.R}", $"{row.Top1:0.00}", $"{row.Top5:0.00}", $"{row.Gmacs:0.000}", $"{row.MacsRatio:0.00}",
                $"{row.ImagesPerSecond:0.0}", $"{row.SpeedRatio:0.00}", $"{row.FinalTokens}");
        }

        AlignNumbers(table, 1);
        console.Write(table);
        if (published.Count == 0)
        {
            return;
        }

        var beside = new Table().Title($"published, {published[0].Model}").AddColumns("method", "r", "top-1 %", "GMACs", "images/s", "source");
        foreach (var result in published)
        {
            beside.AddRow(
                result.Method, result.R ?? "", $"{result.Accuracy:0.00}", $"{result.Gmacs:0.00}", $"{result.ImagesPerSecond:0.#}",
                Markup.Escape(result.Device is { } device ? $"{result.Source}, {device}" : result.Source));
        }

        AlignNumbers(beside, 1, 5);
        console.Write(beside);
    }

    public static ParetoPlot Plot(IReadOnlyList<MergingStudyRow> rows, IReadOnlyList<PublishedResult> published)
    {
        var plot = new ParetoPlot();
        plot.Add("GMACs an image", [.. Own(rows, row => row.Gmacs), .. Others(published, result => result.Gmacs)]);
        plot.Add("images per second", Own(rows, row => row.ImagesPerSecond));
        return plot;
    }

    // Every line starts at the plain model.
    private static List<ParetoSeries> Own(IReadOnlyList<MergingStudyRow> rows, Func<MergingStudyRow, double> cost) =>
    [
        .. rows.Where(row => row.Method != MergingVariant.PlainName).GroupBy(row => row.Method).Select(group => new ParetoSeries(
            group.Key, [.. rows.Take(1).Concat(group).Select(row => (cost(row), row.Top1))])),
    ];

    private static List<ParetoSeries> Others(IReadOnlyList<PublishedResult> published, Func<PublishedResult, double?> cost) =>
    [
        .. published.Where(result => cost(result) is not null).GroupBy(result => result.Method).Select(group =>
            new ParetoSeries($"{group.Key}, published", [.. group.Select(result => (cost(result)!.Value, result.Accuracy))]) { IsPublished = true }),
    ];

    private static void AlignNumbers(Table table, int first, int? end = null)
    {
        foreach (var column in table.Columns.Take(end ?? table.Columns.Count).Skip(first))
        {
            column.RightAligned();
        }
    }
}
