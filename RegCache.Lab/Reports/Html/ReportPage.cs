using System.Text;
using System.Text.Encodings.Web;
using Microsoft.Data.Analysis;
using SixLabors.ImageSharp;
using XPlot.Plotly;

namespace RegCache.Lab.Reports.Html;

/// <summary>A report as one HTML page that needs nothing else: no server, no network. Parts stand in the order in which they are added.</summary>
/// <param name="title">The page's title and first heading.</param>
public sealed class ReportPage(string title)
{
    private readonly StringBuilder _body = new();
    private bool _hasPlots;

    /// <summary>Begins a section.</summary>
    public void Heading(string text) => _body.Append($"<h2>{Encode(text)}</h2>\n");

    /// <summary>Adds a paragraph.</summary>
    public void Paragraph(string text) => _body.Append($"<p>{Encode(text)}</p>\n");

    /// <summary>Adds lines of a fixed-width font.</summary>
    public void Lines(IEnumerable<string> lines) => _body.Append($"<pre class=\"code\">{Encode(string.Join('\n', lines))}</pre>\n");

    /// <summary>Adds a table.</summary>
    public void Table(DataFrame frame)
    {
        _body.Append("<div class=\"output\">");
        using var writer = new StringWriter(_body);
        DataFrameFormat.WriteHtml(frame, writer);
        _body.Append("</div>\n");
    }

    /// <summary>Adds a plot.</summary>
    public void Plot(PlotlyChart chart)
    {
        _hasPlots = true;
        _body.Append("<div class=\"output\">");
        using var writer = new StringWriter(_body);
        PlotFormat.Write(chart, writer);
        _body.Append("</div>\n");
    }

    /// <summary>Adds a picture.</summary>
    /// <param name="image">The picture; the page holds a copy as PNG.</param>
    /// <param name="description">What it shows, for those who cannot see it.</param>
    public void Picture(Image image, string description)
    {
        using var png = new MemoryStream();
        image.SaveAsPng(png);
        _body.Append(
            $"<div class=\"output\"><img alt=\"{Encode(description)}\" src=\"data:image/png;base64,{Convert.ToBase64String(png.GetBuffer(), 0, (int)png.Length)}\"></div>\n");
    }

    /// <summary>Writes the page.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Write(string path)
    {
        var plotly = !_hasPlots ? ""
            : PlotlyLibrary.Find() is { } library ? PlotlyLibrary.ScriptElement(library)
            : $"<p class=\"stderr\">{Encode(PlotlyLibrary.AbsentMessage)}</p>";
        AtomicFile.WriteText(
            path,
            $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Encode(title)}</title>
            <style>{PageStyle.Css}</style>
            </head>
            <body>
            <main>
            <h1>{Encode(title)}</h1>
            {plotly}
            {_body}
            </main>
            </body>
            </html>

            """);
    }

    private static string Encode(string text) => HtmlEncoder.Default.Encode(text).Replace("&#xA;", "\n", StringComparison.Ordinal);
}
