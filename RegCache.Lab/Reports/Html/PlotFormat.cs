using Microsoft.DotNet.Interactive.Formatting;
using XPlot.Plotly;

namespace RegCache.Lab.Reports.Html;

/// <summary>
/// Plots as HTML that loads nothing: the drawing code waits for the plotly.js that the page carries once, see <see cref="PlotlyLibrary"/>.
/// </summary>
public static class PlotFormat
{
    /// <summary>The class of the element that a plot is drawn in.</summary>
    public const string CssClass = "regcache-plot";

    /// <summary>Registers the format of <see cref="PlotlyChart"/> with the formatters of .NET Interactive.</summary>
    public static void Register()
    {
        Formatter.SetPreferredMimeTypesFor(typeof(PlotlyChart), HtmlFormatter.MimeType);
        Formatter.Register<PlotlyChart>(Write, HtmlFormatter.MimeType);
    }

    internal static void Write(PlotlyChart chart, TextWriter writer)
    {
        // A notebook page may run the script before the one that brings the library, which is large.
        var drawing = chart.GetPlottingJS().Replace("</", "<\\/", StringComparison.Ordinal);
        writer.Write($$"""
            <div id="{{chart.Id}}" class="{{CssClass}}" style="width: {{chart.Width}}px; max-width: 100%;"></div>
            <script>
            (function () {
              var place = document.getElementById('{{chart.Id}}'), tries = 0;
              function draw() {
                if (window.Plotly) {
                  if (place) { place.textContent = ''; }
            {{drawing}}
                  // A layout may have a size of its own.
                  if (place && place._fullLayout) { place.style.height = place._fullLayout.height + 'px'; }
                } else if (++tries < 100) {
                  setTimeout(draw, 100);
                } else if (place) {
                  place.textContent = 'This plot needs plotly.js: run the notebook, or set the kit up with ./lab setup.';
                }
              }
              draw();
            })();
            </script>
            """);
    }
}
