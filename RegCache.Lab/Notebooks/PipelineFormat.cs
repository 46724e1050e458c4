using RegCache.Lab.Registers;

namespace RegCache.Lab.Notebooks;

/// <summary>The pipeline's ten lines, and its final scores.</summary>
internal static class PipelineFormat
{
    public static void WriteHtml(RegCacheReport report, HtmlText html) =>
        html.Pairs("RegCache", report.Lines().Select(line => line.Split(':', 2)).Select(parts => (parts[0].Trim(), parts[1].Trim())));

    public static string Text(RegCacheReport report) => string.Join('\n', report.Lines());

    public static void WriteHtml(RegCacheResult result, HtmlText html)
    {
        WriteHtml(result.Report, html);
        ScoreFormat.WriteHtml(result.Scores, html);
    }

    public static string Text(RegCacheResult result) => $"{Text(result.Report)}\n{ScoreFormat.Text(result.Scores)}";
}
