using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json.Nodes;
using Markdig;
using RegCache.Lab.Notebooks.Formats;
using RegCache.Lab.Notebooks.Running;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Notebooks.Pages;

/// <summary>
/// A notebook as one HTML page that needs nothing else: no server, no network. It carries plotly.js once where the notebook has
/// plots, and KaTeX once where it has formulas and <c>artifacts/katex/katex.min.js</c> (or <c>REGCACHE_KATEX</c>) is there; formulas
/// stand as their TeX text otherwise.
/// </summary>
public static class NotebookPage
{
    private static readonly MarkdownPipeline Markdown = new MarkdownPipelineBuilder().UseAdvancedExtensions().Build();
    private static readonly string[] ByRichness =
        ["text/html", "image/svg+xml", "image/png", "image/jpeg", "text/markdown", "text/latex", "text/plain"];

    /// <summary>Whether the notebook shows plots that need plotly.js.</summary>
    public static bool HasPlots(NotebookDocument document)
    {
        ArgumentNullException.ThrowIfNull(document);
        return document.Cells.Where(cell => cell.IsCode).SelectMany(cell => cell.Outputs).Any(output =>
            NotebookDocument.Text((output as JsonObject)?["data"]?["text/html"]).Contains(PlotFormat.CssClass, StringComparison.Ordinal));
    }

    /// <summary>Writes the page.</summary>
    /// <param name="document">The notebook, with its outputs.</param>
    /// <param name="title">The page's title.</param>
    /// <param name="plotly">The file of plotly.js; null for a page whose plots say that it is missing.</param>
    public static string Write(NotebookDocument document, string title, string? plotly)
    {
        ArgumentNullException.ThrowIfNull(document);
        var body = new StringBuilder();
        foreach (var cell in document.Cells)
        {
            WriteCell(body, cell);
        }

        var page = new StringBuilder("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.Append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        page.Append($"<title>{Encode(title)}</title>\n<style>{PageStyle.Css}</style>\n");
        if (plotly is not null && HasPlots(document))
        {
            page.Append(PlotlyLibrary.ScriptElement(plotly)).Append('\n');
        }

        page.Append("</head>\n<body>\n<main>\n").Append(body).Append("</main>\n");
        if (body.ToString().Contains("class=\"math\"", StringComparison.Ordinal) && KitFile.Find("artifacts/katex/katex.min.js", "REGCACHE_KATEX") is { } katex)
        {
            page.Append(FormulaScript.Element(katex)).Append('\n');
        }

        return page.Append("</body>\n</html>\n").ToString();
    }

    private static void WriteCell(StringBuilder body, NotebookCell cell)
    {
        if (cell.Kind == "markdown")
        {
            body.Append($"<section class=\"markdown\">{Markdig.Markdown.ToHtml(cell.Source, Markdown)}</section>\n");
            return;
        }

        if (!cell.IsCode)
        {
            body.Append($"<pre class=\"raw\">{Encode(cell.Source)}</pre>\n");
            return;
        }

        body.Append("<section class=\"cell\">\n");
        var number = cell.ExecutionCount?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? " ";
        var code = $"<pre class=\"code\"><code>{CodeColors.ToHtml(cell.Source)}</code></pre>";
        var isFolded = cell.Flag("jupyter", "source_hidden") || cell.Tags.Contains("hide-input");
        body.Append(isFolded
            ? $"<details><summary>Code [{number}]</summary>{code}</details>\n"
            : $"<div class=\"input\"><span class=\"number\">[{number}]</span>{code}</div>\n");
        foreach (var output in cell.Outputs.OfType<JsonObject>())
        {
            body.Append("<div class=\"output\">").Append(Output(output)).Append("</div>\n");
        }

        body.Append("</section>\n");
    }

    private static string Output(JsonObject output)
    {
        switch (NotebookDocument.Text(output["output_type"]))
        {
            case "stream":
                var name = NotebookDocument.Text(output["name"]) == "stderr" ? "stderr" : "stdout";
                return $"<pre class=\"{name}\">{Encode(NotebookDocument.Text(output["text"]))}</pre>";
            case "error":
                var lines = (output["traceback"] as JsonArray)?.Select(line => NotebookDocument.Text(line)) ?? [];
                return $"<pre class=\"error\">{Encode(string.Join('\n', lines))}</pre>";
            default:
                var data = output["data"] as JsonObject ?? [];
                return ByRichness.FirstOrDefault(data.ContainsKey) is { } type ? Value(type, NotebookDocument.Text(data[type])) : string.Empty;
        }
    }

    private static string Value(string type, string text) => type switch
    {
        "text/html" or "image/svg+xml" => text,
        "image/png" or "image/jpeg" => $"<img alt=\"\" src=\"data:{type};base64,{Encode(text.Trim())}\">",
        "text/markdown" => Markdig.Markdown.ToHtml(text, Markdown),
        "text/latex" => $"<div class=\"math\">{Encode(text.Trim('$'))}</div>",
        _ => $"<pre>{Encode(text)}</pre>",
    };

    private static string Encode(string text) => HtmlEncoder.Default.Encode(text).Replace("&#xA;", "\n", StringComparison.Ordinal);
}

/// <summary>Formulas of exported notebooks.</summary>
internal static class FormulaScript
{
    /// <summary>A script that turns the formulas of the page into MathML, which browsers draw without fonts of ours.</summary>
    public static string Element(string katexFile) => $$"""
        <script>
        (function (define, module, exports) {
        {{File.ReadAllText(katexFile).Replace("</script", "<\\/script", StringComparison.OrdinalIgnoreCase)}}
        }).call(window);
        document.querySelectorAll('.math').forEach(function (element) {
          var text = element.textContent.trim().replace(/^\\[\(\[]|\\[\)\]]$/g, '');
          katex.render(text, element, { output: 'mathml', throwOnError: false, displayMode: element.tagName === 'DIV' });
        });
        </script>
        """;
}
