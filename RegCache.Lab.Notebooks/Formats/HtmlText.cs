using System.Globalization;
using System.Text.Encodings.Web;

namespace RegCache.Lab.Notebooks.Formats;

/// <summary>Writes small tables that read well on light and on dark pages: no colour but the page's own and a translucent accent.</summary>
internal sealed class HtmlText : IDisposable
{
    private const int LongestCell = 60;

    private const string Style =
        "<style>.regcache table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;margin:.2em 0 .6em}"
        + ".regcache th,.regcache td{padding:2px 10px;border:0;border-bottom:1px solid rgba(128,128,128,.35);text-align:right;background:none}"
        + ".regcache th{font-weight:600}.regcache .word{text-align:left}.regcache caption{caption-side:top;text-align:left;font-weight:600;padding:2px 0;color:inherit}"
        + ".regcache p{margin:.2em 0;font-size:13px}.regcache i{opacity:.7}</style>";

    private readonly TextWriter _writer;

    public HtmlText(TextWriter writer)
    {
        _writer = writer;
        writer.Write("<div class=\"regcache\">" + Style);
    }

    /// <summary>Ends the text.</summary>
    public void Dispose() => _writer.Write("</div>");

    public void Paragraph(string text, bool soft = false) =>
        _writer.Write(soft ? $"<p><i>{Encode(text)}</i></p>" : $"<p>{Encode(text)}</p>");

    /// <summary>A table of names and values.</summary>
    public void Pairs(string caption, IEnumerable<(string Name, string Value)> pairs)
    {
        _writer.Write($"<table><caption>{Encode(caption)}</caption>");
        foreach (var (name, value) in pairs)
        {
            _writer.Write($"<tr><th class=\"word\">{Encode(name)}</th><td class=\"word\">{Encode(value)}</td></tr>");
        }

        _writer.Write("</table>");
    }

    /// <summary>A table with a head.</summary>
    /// <param name="caption">What it shows; may be empty.</param>
    /// <param name="head">The columns' names.</param>
    /// <param name="rows">The cells; text is set to the left, what is not is a number.</param>
    public void Table(string caption, IReadOnlyList<string> head, IEnumerable<IReadOnlyList<HtmlCell>> rows)
    {
        _writer.Write("<table>");
        if (caption.Length > 0)
        {
            _writer.Write($"<caption>{Encode(caption)}</caption>");
        }

        var body = rows.ToList();
        if (head.Count > 0)
        {
            _writer.Write("<thead><tr>");
            foreach (var (column, name) in head.Index())
            {
                _writer.Write(body.Count > 0 && body[0][column].IsText ? $"<th class=\"word\">{Encode(name)}</th>" : $"<th>{Encode(name)}</th>");
            }

            _writer.Write("</tr></thead>");
        }

        _writer.Write("<tbody>");
        foreach (var row in body)
        {
            _writer.Write("<tr>");
            foreach (var cell in row)
            {
                var kind = cell.IsText ? " class=\"word\"" : string.Empty;
                var shade = cell.Share is { } share
                    ? string.Create(CultureInfo.InvariantCulture, $" style=\"background:rgba(36,120,210,{0.55 * Math.Clamp(share, 0, 1):0.##})\"")
                    : string.Empty;
                _writer.Write($"<td{kind}{shade}{Hint(cell)}>{Encode(Shortened(cell.Text))}</td>");
            }

            _writer.Write("</tr>");
        }

        _writer.Write("</tbody></table>");
    }

    private static string Hint(HtmlCell cell) => cell.Text.Length > LongestCell ? $" title=\"{Encode(cell.Text)}\"" : string.Empty;

    private static string Shortened(string text) => text.Length > LongestCell ? text[..LongestCell] + "..." : text;

    private static string Encode(string text) => HtmlEncoder.Default.Encode(text);
}

/// <summary>A cell of an HTML table.</summary>
/// <param name="Text">What it says.</param>
/// <param name="IsText">Whether it is set to the left, as words are; numbers stand to the right.</param>
/// <param name="Share">How strongly it is shaded, 0 to 1; null for not at all.</param>
internal readonly record struct HtmlCell(string Text, bool IsText = false, double? Share = null)
{
    public static HtmlCell Words(string text) => new(text, IsText: true);

    public static HtmlCell Number(double value, string format = "0.00", double? share = null) =>
        new(value.ToString(format, CultureInfo.InvariantCulture), Share: share);

    public static HtmlCell Count(long value) => new(value.ToString("N0", CultureInfo.InvariantCulture));
}
