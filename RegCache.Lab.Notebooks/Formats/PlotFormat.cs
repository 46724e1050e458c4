using System.IO.Compression;
using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Formatting;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Reports;
using XPlot.Plotly;

namespace RegCache.Lab.Notebooks.Formats;

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
        // XPlot writes texts as they are: none of them may end the script, or begin a comment in which its end is not seen.
        var drawing = chart.GetPlottingJS().Replace("</", "<\\/", StringComparison.Ordinal).Replace("<!--", "<\\!--", StringComparison.Ordinal);

        // A notebook page may run the script before the one that brings the library, which is large.
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

/// <summary>
/// The copy of plotly.js that pages carry, so that plots need no network. It is the file that the environment variable
/// <c>REGCACHE_PLOTLY</c> names, else <c>artifacts/plotly/plotly.min.js</c> where <see cref="KitFile"/> finds it; <c>./lab setup</c> puts it there.
/// </summary>
public static class PlotlyLibrary
{
    /// <summary>The environment variable that names the file.</summary>
    public const string Variable = "REGCACHE_PLOTLY";

    /// <summary>What to tell where the library is absent.</summary>
    public const string AbsentMessage =
        $"Plots will not be drawn: there is no plotly.js; run ./lab setup, or name a plotly.min.js in {Variable}.";

    /// <summary>The library's file; null where there is none.</summary>
    /// <exception cref="UserException">The variable names a file that does not exist.</exception>
    public static string? Find() => KitFile.Find("artifacts/plotly/plotly.min.js", Variable);

    /// <summary>A script element with the library, to be put into a page once.</summary>
    /// <param name="file">The library.</param>
    /// <returns>
    /// HTML that sets <c>window.Plotly</c>, also in pages with a module loader, which would keep it to itself. The library is packed:
    /// Jupyter's server drops outputs of several megabytes.
    /// </returns>
    public static string ScriptElement(string file)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            gzip.Write(File.ReadAllBytes(file));
        }

        return $$"""
            <script class="regcache-plotly">
            (async function () {
              if (window.Plotly) { return; }
              var packed = Uint8Array.from(atob('{{Convert.ToBase64String(packed.GetBuffer(), 0, (int)packed.Length)}}'), function (c) { return c.charCodeAt(0); });
              var code = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).text();
              new Function('define', 'module', 'exports', code).call(window);
            })();
            </script>
            """;
    }
}

/// <summary>How plotly.js comes into a notebook's page.</summary>
public static class PlotScript
{
    /// <summary>Whether the host of the cells brings plotly.js itself, as the kit's kernel and its headless runner do.</summary>
    public static bool IsHostsBusiness { get; set; }

    /// <summary>Shows plotly.js as an output of the running cell, once for all plots of the page, unless the host brings it.</summary>
    internal static void Show()
    {
        if (IsHostsBusiness || KernelInvocationContext.Current is not { } context)
        {
            return;
        }

        if (PlotlyLibrary.Find() is { } library)
        {
            context.DisplayAs(PlotlyLibrary.ScriptElement(library), HtmlFormatter.MimeType);
        }
        else
        {
            Console.Error.WriteLine(PlotlyLibrary.AbsentMessage);
        }
    }
}
