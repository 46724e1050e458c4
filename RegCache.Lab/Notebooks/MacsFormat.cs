using System.Globalization;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Notebooks;

/// <summary>Multiply-accumulates, in millions, by part and block.</summary>
internal static class MacsFormat
{
    private const double Million = 1e6;

    public static void WriteHtml(MacsTable table, HtmlText html)
    {
        var kinds = table.Rows.Select(row => row.Kind).Distinct().Order().ToArray();
        var largest = table.Rows.Select(row => row.Macs).Append(1).Max();
        html.Table(
            Text(table),
            ["block", "tokens", .. kinds.Select(kind => kind.ToString())],
            table.Rows.GroupBy(row => row.Block).Select(block => (HtmlCell[])
            [
                HtmlCell.Words(block.Key?.ToString(CultureInfo.InvariantCulture) ?? "outside"),
                HtmlCell.Count(block.Max(row => row.Tokens)),
                .. kinds.Select(kind => block.FirstOrDefault(row => row.Kind == kind) is { } row
                    ? HtmlCell.Number(row.Macs / Million, "0.##", (double)row.Macs / largest)
                    : new HtmlCell(string.Empty)),
            ]));
    }

    public static string Text(MacsTable table) => FormattableString.Invariant(
        $"{table.Total / Million:0.##} million multiply-accumulates an image, {table.FinalTokens} tokens at the end{(table.Matching > 0 ? FormattableString.Invariant($"; matching {table.Matching / Million:0.##} million more") : string.Empty)}");
}
