using System.Buffers;
using System.Globalization;

namespace Microsoft.Data.Analysis;

/// <summary>Writes a frame as comma-separated text; null becomes an empty field.</summary>
internal static class CsvOutput
{
    public static void Write(DataFrame frame, TextWriter writer, char separator, bool header, CultureInfo culture)
    {
        var special = SearchValues.Create(['"', '\r', '\n', separator]);
        if (header)
        {
            writer.WriteLine(string.Join(separator, frame.Columns.Select(column => Quoted(column.Name, special))));
        }

        foreach (var row in frame.Rows)
        {
            writer.WriteLine(string.Join(separator, row.Select(value => Quoted(Convert.ToString(value, culture) ?? string.Empty, special))));
        }
    }

    private static string Quoted(string text, SearchValues<char> special) =>
        text.AsSpan().ContainsAny(special) ? $"\"{text.Replace("\"", "\"\"")}\"" : text;
}
