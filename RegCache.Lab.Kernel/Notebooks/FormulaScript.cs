namespace RegCache.Lab.Kernel.Notebooks;

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
