using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RegCache.Lab.Notebooks.Formats;
using RegCache.Lab.Notebooks.Running;

namespace RegCache.Lab.Notebooks.Pages;

/// <summary>
/// Turns the plots of a notebook into pictures, for pages that run no scripts, such as those of code hosts. The figure itself is kept
/// beside the picture in the form that front ends with a plotly of their own draw.
/// </summary>
internal static partial class PlotPictures
{
    private const string FigureType = "application/vnd.plotly.v1+json";

    /// <summary>Replaces the drawing code of every plot by a PNG and the figure's JSON.</summary>
    /// <exception cref="UserException">There is no Chromium or no plotly.js, or a plot cannot be drawn.</exception>
    public static async Task ReplacePlotsAsync(NotebookDocument document, CancellationToken cancellation)
    {
        var plots = document.Cells.Where(cell => cell.IsCode)
            .SelectMany(cell => cell.Outputs)
            .Select(output => (output as JsonObject)?["data"] as JsonObject)
            .OfType<JsonObject>()
            .Where(data => NotebookDocument.Text(data["text/html"]).Contains(PlotFormat.CssClass, StringComparison.Ordinal))
            .ToArray();
        if (plots.Length == 0)
        {
            return;
        }

        var pictures = await DrawAsync([.. plots.Select(data => NotebookDocument.Text(data["text/html"]))], cancellation);
        foreach (var (data, picture) in plots.Zip(pictures))
        {
            data.Remove("text/html");
            data["image/png"] = (string)picture["png"]!;
            data[FigureType] = picture["figure"]!.DeepClone();
        }
    }

    private static async Task<JsonObject[]> DrawAsync(string[] plots, CancellationToken cancellation)
    {
        var library = PlotlyLibrary.Find() ?? throw new UserException(PlotlyLibrary.AbsentMessage);
        var page = Path.GetTempFileName();
        try
        {
            var named = Path.ChangeExtension(page, ".html");
            File.Move(page, named);
            page = named;
            await File.WriteAllTextAsync(page, Page(library, plots), cancellation);
            var rendered = await Chromium.RenderAsync(page, cancellation);
            var drawn = Result().Matches(rendered)
                .Select(match => (JsonObject)JsonNode.Parse(WebUtility.HtmlDecode(match.Groups[1].Value))!)
                .ToArray();
            return drawn.Length == plots.Length
                ? drawn
                : throw new UserException($"Chromium drew {drawn.Length} of the {plots.Length} plots; run the notebook with --html and look at its page.");
        }
        finally
        {
            File.Delete(page);
        }
    }

    private static string Page(string library, string[] plots)
    {
        var body = new StringBuilder();
        foreach (var plot in plots)
        {
            body.Append("<section>").Append(plot).Append("</section>\n");
        }

        return $$"""
            <!DOCTYPE html>
            <html><head><meta charset="utf-8"><script src="{{new Uri(library).AbsoluteUri}}"></script></head>
            <body>
            {{body}}
            <script>
            (async function () {
              for (const section of document.querySelectorAll('section')) {
                const plot = section.querySelector('.{{PlotFormat.CssClass}}');
                const url = await Plotly.toImage(plot, { format: 'png', width: plot.clientWidth, height: plot.clientHeight, scale: 1.5 });
                const result = { png: url.split(',')[1], figure: { data: plot.data, layout: plot.layout } };
                const element = document.createElement('pre');
                element.className = 'result';
                element.textContent = JSON.stringify(result);
                section.replaceChildren(element);
              }
            })();
            </script>
            </body></html>
            """;
    }

    [GeneratedRegex("<pre class=\"result\">(.*?)</pre>", RegexOptions.Singleline)]
    private static partial Regex Result();
}
