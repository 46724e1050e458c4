using System.Collections;
using System.Globalization;
using System.Text.Encodings.Web;

namespace Microsoft.DotNet.Interactive.Formatting;

/// <summary>Objects and sequences as HTML tables.</summary>
internal static class HtmlTables
{
    public static void WritePairs(FormatContext context, string head, string secondHead, IEnumerable<(object Key, object? Value)> rows)
    {
        var writer = context.Writer;
        writer.Write($"<table><thead><tr><th>{Encode(head)}</th><th>{Encode(secondHead)}</th></tr></thead><tbody>");
        var count = 0;
        foreach (var (key, value) in rows)
        {
            if (count++ == Formatter.ListExpansionLimit)
            {
                writer.Write("<tr><td colspan=\"2\">...</td></tr>");
                break;
            }

            writer.Write("<tr><td>");
            key.FormatTo(context, HtmlFormatter.MimeType);
            writer.Write("</td><td>");
            value.FormatTo(context, HtmlFormatter.MimeType);
            writer.Write("</td></tr>");
        }

        writer.Write("</tbody></table>");
    }

    public static void WriteSequence(
        FormatContext context, IEnumerable sequence, Func<object, IReadOnlyList<(string Name, object? Value)>?> columnsOf)
    {
        var writer = context.Writer;
        var columns = new List<string>();
        var rows = new List<(object? Item, IReadOnlyList<(string Name, object? Value)>? Cells)>();
        var more = false;
        foreach (var item in sequence)
        {
            if (rows.Count == Formatter.ListExpansionLimit)
            {
                more = true;
                break;
            }

            var cells = item is null ? null : columnsOf(item);
            rows.Add((item, cells));
            columns.AddRange((cells ?? []).Select(cell => cell.Name).Except(columns));
        }

        if (columns.Count == 0)
        {
            columns.Add("value");
        }

        writer.Write("<table><thead><tr><th><i>index</i></th>");
        foreach (var column in columns)
        {
            writer.Write($"<th>{Encode(column)}</th>");
        }

        writer.Write("</tr></thead><tbody>");
        for (var index = 0; index < rows.Count; index++)
        {
            writer.Write($"<tr><td>{index.ToString(CultureInfo.InvariantCulture)}</td>");
            WriteCells(context, columns, rows[index].Item, rows[index].Cells);
            writer.Write("</tr>");
        }

        if (more)
        {
            var rest = sequence is ICollection collection ? $"({collection.Count - rows.Count} more)" : "(more)";
            writer.Write($"<tr><td colspan=\"{columns.Count + 1}\"><i>{rest}</i></td></tr>");
        }

        writer.Write("</tbody></table>");
    }

    private static void WriteCells(
        FormatContext context, List<string> columns, object? item, IReadOnlyList<(string Name, object? Value)>? cells)
    {
        if (cells is null)
        {
            context.Writer.Write($"<td colspan=\"{columns.Count}\">");
            item.FormatTo(context, HtmlFormatter.MimeType);
            context.Writer.Write("</td>");
            return;
        }

        var values = cells.ToDictionary(cell => cell.Name, cell => cell.Value);
        foreach (var column in columns)
        {
            context.Writer.Write("<td>");
            if (values.TryGetValue(column, out var value))
            {
                value.FormatTo(context, HtmlFormatter.MimeType);
            }

            context.Writer.Write("</td>");
        }
    }

    private static string Encode(string text) => HtmlEncoder.Default.Encode(text);
}
