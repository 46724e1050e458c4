using System.IO.Compression;

namespace RegCache.Lab.Reports.Html;

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
