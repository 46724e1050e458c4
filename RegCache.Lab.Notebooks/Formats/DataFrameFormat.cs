using System.Globalization;
using System.Text.Encodings.Web;
using Microsoft.Data.Analysis;
using Microsoft.DotNet.Interactive.Formatting;

namespace RegCache.Lab.Notebooks.Formats;

/// <summary>Data frames as HTML tables and as plain text.</summary>
public static class DataFrameFormat
{
    private const int RowLimit = 100;

    /// <summary>Registers the formats of <see cref="DataFrame"/> with the formatters of .NET Interactive.</summary>
    public static void Register()
    {
        Formatter.SetPreferredMimeTypesFor(typeof(DataFrame), HtmlFormatter.MimeType, PlainTextFormatter.MimeType);
        Formatter.Register<DataFrame>(WriteHtml, HtmlFormatter.MimeType);
        Formatter.Register<DataFrame>(WriteText, PlainTextFormatter.MimeType);
    }

    internal static void WriteHtml(DataFrame frame, TextWriter writer)
    {
        var encoder = HtmlEncoder.Default;
        writer.Write("<table class=\"dataframe\"><thead><tr>");
        foreach (var column in frame.Columns)
        {
            writer.Write($"<th{Align(column)}>{encoder.Encode(column.Name)}</th>");
        }

        writer.Write("</tr></thead><tbody>");
        for (var row = 0L; row < Math.Min(frame.Rows.Count, RowLimit); row++)
        {
            writer.Write("<tr>");
            foreach (var column in frame.Columns)
            {
                writer.Write($"<td{Align(column)}>{encoder.Encode(Text(column[row]))}</td>");
            }

            writer.Write("</tr>");
        }

        if (frame.Rows.Count > RowLimit)
        {
            writer.Write($"<tr><td colspan=\"{frame.Columns.Count}\"><i>{frame.Rows.Count - RowLimit} more rows</i></td></tr>");
        }

        writer.Write("</tbody></table>");
    }

    // Not ToString: its columns run into each other where a text is longer than its column's name.
    private static void WriteText(DataFrame frame, TextWriter writer)
    {
        var shown = (int)Math.Min(frame.Rows.Count, RowLimit);
        var columns = frame.Columns.Select(column =>
        {
            string[] cells = [column.Name, .. Enumerable.Range(0, shown).Select(row => Text(column[row]))];
            var width = cells.Max(cell => cell.Length);
            return column.IsNumericColumn() ? cells.Select(cell => cell.PadLeft(width)).ToArray() : [.. cells.Select(cell => cell.PadRight(width))];
        }).ToList();
        for (var row = 0; row <= shown; row++)
        {
            writer.Write(string.Join("  ", columns.Select(cells => cells[row])).TrimEnd() + "\n");
        }

        if (frame.Rows.Count > shown)
        {
            writer.Write($"{frame.Rows.Count - shown} more rows\n");
        }
    }

    private static string Align(DataFrameColumn column) => column.IsNumericColumn() ? " style=\"text-align: right\"" : string.Empty;

    private static string Text(object? value) => value switch
    {
        null => string.Empty,
        float number => number.ToString("G6", CultureInfo.InvariantCulture),
        double number => number.ToString("G6", CultureInfo.InvariantCulture),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? string.Empty,
    };
}
