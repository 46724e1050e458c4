using RegCache.Lab.Encoders;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Notebooks;

/// <summary>Stage 1 as a table of blocks by layers: the points of accuracy that are lost.</summary>
internal static class SensitivityFormat
{
    public static void WriteHtml(SensitivityTable table, HtmlText html)
    {
        var losses = table.Rows.Select(row => Loss(table, row)).ToArray();
        var largest = losses.Append(double.Epsilon).Max();
        html.Table(
            $"top-1 points lost when one layer alone is quantized ({table.Images} images)",
            ["block", .. LinearKinds.All.Select(kind => kind.Name())],
            table.Rows.GroupBy(row => row.Block).Select(block => (HtmlCell[])
            [
                HtmlCell.Count(block.Key),
                .. LinearKinds.All.Select(kind => block.FirstOrDefault(row => row.Layer == kind) is { } row
                    ? HtmlCell.Number(Loss(table, row), share: Loss(table, row) / largest)
                    : new HtmlCell(string.Empty)),
            ]));
    }

    public static string Text(SensitivityTable table)
    {
        if (table.Rows.Count == 0)
        {
            return "no layers";
        }

        var (count, error) = (table.Worst(SearchMetric.Accuracy), table.Worst(SearchMetric.Mse));
        return FormattableString.Invariant(
            $"{table.Rows.Count} layers on {table.Images} images: most accuracy ({Loss(table, count):0.00} points) is lost by block {count.Block} {count.Layer.Name()}, the largest error made by block {error.Block} {error.Layer.Name()}");
    }

    private static double Loss(SensitivityTable table, SensitivityRow row) => 100.0 * (table.FloatCorrect - row.Correct) / table.Images;
}
