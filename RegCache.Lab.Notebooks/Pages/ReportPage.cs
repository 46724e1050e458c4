using System.Text;
using System.Text.Encodings.Web;
using Microsoft.Data.Analysis;
using RegCache.Lab.Notebooks.Formats;
using RegCache.Lab.Reports;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.PixelFormats;
using XPlot.Plotly;

namespace RegCache.Lab.Notebooks.Pages;

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

    /// <summary>Begins a part of a section.</summary>
    public void Subheading(string text) => _body.Append($"<h3>{Encode(text)}</h3>\n");

    /// <summary>Adds small pictures in a row, each with a line of text below it.</summary>
    /// <param name="title">What the row shows.</param>
    /// <param name="figures">The pictures; the page holds copies as JPEG.</param>
    public void Figures(string title, IEnumerable<PageFigure> figures)
    {
        _body.Append($"<div class=\"figures\"><span>{Encode(title)}</span>");
        foreach (var (pixels, width, caption, isMarked) in figures)
        {
            using var jpeg = new MemoryStream();
            using var picture = Image.LoadPixelData<Rgb24>(pixels, width, pixels.Length / 3 / width);
            picture.SaveAsJpeg(jpeg, new JpegEncoder { Quality = 90 });
            var source = Convert.ToBase64String(jpeg.GetBuffer(), 0, (int)jpeg.Length);
            _body.Append(
                $"<figure{(isMarked ? " class=\"marked\"" : "")}><img alt=\"{Encode(caption)}\" src=\"data:image/jpeg;base64,{source}\"><figcaption>{Encode(caption)}</figcaption></figure>");
        }

        _body.Append("</div>\n");
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

/// <summary>A picture of a row of a <see cref="ReportPage"/>.</summary>
/// <param name="Pixels">Its pixels [height,width,3].</param>
/// <param name="Width">Columns of the picture.</param>
/// <param name="Caption">The line below it.</param>
/// <param name="IsMarked">Whether it has a frame.</param>
public sealed record PageFigure(byte[] Pixels, int Width, string Caption, bool IsMarked = false);

/// <summary>The look of the pages that the kit writes.</summary>
public static class PageStyle
{
    /// <summary>The style sheet.</summary>
    public const string Css = """
        :root { --ink: #1c2733; --soft: #5d6b7a; --line: #dfe5eb; --paper: #ffffff; --code: #f6f8fa; --accent: #2463a5; }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
        main { max-width: 1000px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
        h1, h2, h3 { line-height: 1.25; margin: 1.6em 0 .5em; }
        h1 { font-size: 2rem; margin-top: 0; }
        a { color: var(--accent); }
        .cell { margin: 1rem 0 1.5rem; }
        .input { position: relative; }
        .number { position: absolute; right: 100%; margin-right: .5rem; top: .7rem; color: var(--soft); font: 12px/1.6 ui-monospace, "DejaVu Sans Mono", monospace; white-space: nowrap; }
        pre { margin: 0; font: 13.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
        pre.code { background: var(--code); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; }
        .markdown pre { background: var(--code); border-radius: 6px; padding: .7rem .9rem; }
        .output { margin: .6rem 0 0; padding-left: .9rem; overflow-x: auto; }
        .output img { max-width: 100%; }
        .figures { display: flex; gap: .6rem; align-items: flex-start; margin: .4rem 0; overflow-x: auto; }
        .figures > span { flex: 0 0 6rem; color: var(--soft); font-size: 14px; }
        .figures figure { margin: 0; flex: 0 0 136px; }
        .figures img { width: 136px; border: 3px solid transparent; border-radius: 4px; }
        .figures .marked img { border-color: #1a7036; }
        figcaption { font-size: 12px; line-height: 1.35; color: var(--soft); overflow-wrap: anywhere; }
        .stderr { background: #fdf3e7; padding: .4rem .6rem; }
        .error { background: #fdecec; color: #8c1d18; padding: .6rem .8rem; border-radius: 6px; }
        table { border-collapse: collapse; font-size: 14px; margin: .3rem 0; font-variant-numeric: tabular-nums; }
        th { text-align: left; border-bottom: 2px solid var(--line); padding: .3rem .7rem; }
        td { border-bottom: 1px solid var(--line); padding: .25rem .7rem; }
        summary { cursor: pointer; color: var(--soft); }
        .k { color: #8a2aa3; } .s { color: #1a7036; } .c { color: #6b7885; font-style: italic; } .n { color: #a04b00; } .t { color: #1f6f8b; }
        """;
}
