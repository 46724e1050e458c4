using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Notebooks.Formats;

/// <summary>Accuracies of plans.</summary>
internal static class ScoreFormat
{
    private static readonly string[] Head = ["top-1 %", "top-5 %", "feature error", "images"];

    public static void WriteHtml(PlanScore score, HtmlText html) => html.Table(string.Empty, Head, [Cells(score)]);

    public static string Text(PlanScore score) => string.Create(
        CultureInfo.InvariantCulture, $"top-1 {score.Accuracy:0.00} %, top-5 {score.AccuracyTop5:0.00} % of {score.Images} images");

    public static void WriteHtml(FinalScores scores, HtmlText html) => html.Table(
        "final evaluation", ["", .. Head], Rows(scores).Select(row => (HtmlCell[])[HtmlCell.Words(row.Name), .. Cells(row.Score)]));

    public static string Text(FinalScores scores) => string.Join("; ", Rows(scores).Select(row =>
        string.Create(CultureInfo.InvariantCulture, $"{row.Name} {row.Score.Accuracy:0.00} %")));

    private static HtmlCell[] Cells(PlanScore score) =>
    [
        HtmlCell.Number(score.Accuracy, share: score.Accuracy / 100),
        HtmlCell.Number(score.AccuracyTop5),
        HtmlCell.Number(score.FeatureMse, "0.##e+0"),
        HtmlCell.Count(score.Images),
    ];

    private static IEnumerable<(string Name, PlanScore Score)> Rows(FinalScores scores) =>
    [
        ("float", scores.Float), ("quantized", scores.Quantized), ("prefix only", scores.PrefixOnly), ("delete only", scores.DeleteOnly),
        ("both", scores.Both),
    ];
}

/// <summary>Stage 1 as a table of blocks by layers: the points of accuracy that are lost.</summary>
internal static class SensitivityFormat
{
    public static void WriteHtml(SensitivityTable table, HtmlText html)
    {
        var losses = table.Rows.Select(row => Loss(table, row)).ToArray();
        var largest = losses.Append(double.Epsilon).Max();
        html.Table(
            $"top-1 points lost when one layer alone is quantized ({table.Images} images)",
            ["block", .. LinearKinds.All.Select(kind => kind.Name())],
            table.Rows.GroupBy(row => row.Block).Select(block => (HtmlCell[])
            [
                HtmlCell.Count(block.Key),
                .. LinearKinds.All.Select(kind => block.FirstOrDefault(row => row.Layer == kind) is { } row
                    ? HtmlCell.Number(Loss(table, row), share: Loss(table, row) / largest)
                    : new HtmlCell(string.Empty)),
            ]));
    }

    public static string Text(SensitivityTable table)
    {
        if (table.Rows.Count == 0)
        {
            return "no layers";
        }

        var (count, error) = (table.Worst(SearchMetric.Accuracy), table.Worst(SearchMetric.Mse));
        return FormattableString.Invariant(
            $"{table.Rows.Count} layers on {table.Images} images: most accuracy ({Loss(table, count):0.00} points) is lost by block {count.Block} {count.Layer.Name()}, the largest error made by block {error.Block} {error.Layer.Name()}");
    }

    private static double Loss(SensitivityTable table, SensitivityRow row) => 100.0 * (table.FloatCorrect - row.Correct) / table.Images;
}

/// <summary>Averaged prefixes: from which tokens, and how large their keys and values are, by block.</summary>
internal static class PrefixFormat
{
    private const int MostTokens = 5;

    public static void WriteHtml(PrefixCache prefix, HtmlText html)
    {
        html.Paragraph(Text(prefix));
        html.Table(
            "averaged rows by block (l2 norms)",
            ["block", "key", "value", "residual"],
            Norms(prefix).Select(row => (HtmlCell[])
                [HtmlCell.Count(row.Block), HtmlCell.Number(row.Key), HtmlCell.Number(row.Value), HtmlCell.Number(row.Hidden)]));
        html.Table(
            prefix.Tokens.Count > MostTokens ? $"the first {MostTokens} of its {prefix.Tokens.Count} tokens" : "its tokens",
            ["image", "position", "score"],
            prefix.Tokens.Take(MostTokens).Select(token => (HtmlCell[])
                [HtmlCell.Count(token.Image), HtmlCell.Count(token.Token), HtmlCell.Number(token.Score)]));
    }

    public static string Text(PrefixCache prefix)
    {
        var last = prefix.ExtractionBlock + prefix.Keys.shape[0] - 1;
        var scores = prefix.Tokens.Count == 0
            ? string.Empty
            : string.Create(CultureInfo.InvariantCulture, $", scores {prefix.Tokens[^1].Score:0.0} to {prefix.Tokens[0].Score:0.0}");
        return $"Prefix from block {prefix.ExtractionBlock}: keys and values of {prefix.Keys.shape[1]} channels for blocks {prefix.ExtractionBlock} to {last}, the mean of {prefix.Tokens.Count} tokens{scores}";
    }

    private static IEnumerable<(int Block, double Key, double Value, double Hidden)> Norms(PrefixCache prefix)
    {
        float[] Of(Tensor rows)
        {
            using var scope = torch.NewDisposeScope();
            return rows.square().sum(-1).sqrt().cpu().data<float>().ToArray();
        }

        var (keys, values, hidden) = (Of(prefix.Keys), Of(prefix.Values), Of(prefix.Hidden));
        return keys.Select((key, index) => (prefix.ExtractionBlock + index, (double)key, (double)values[index], (double)hidden[index]));
    }
}

/// <summary>Stage 5 as one table an extraction block: accuracy by prefix count and delete count.</summary>
internal static class SearchFormat
{
    public static void WriteHtml(SearchGrid grid, HtmlText html)
    {
        var accuracies = grid.Cells.Where(cell => cell.Images == grid.Images).Select(Accuracy).ToArray();
        var (low, high) = accuracies.Length == 0 ? (0, 1) : (accuracies.Min(), accuracies.Max());
        html.Paragraph(Text(grid));
        foreach (var block in grid.Cells.GroupBy(cell => cell.ExtractionBlock))
        {
            var deletions = block.Select(cell => cell.DeleteCount).Distinct().Order().ToArray();
            html.Table(
                $"top-1 %, prefix from block {block.Key}; down: prefix tokens, across: tokens deleted before block {grid.DeleteBlock}",
                ["", .. deletions.Select(count => $"{count}")],
                block.GroupBy(cell => cell.PrefixCount).Select(row => (HtmlCell[])
                [
                    HtmlCell.Count(row.Key),
                    .. deletions.Select(count => row.FirstOrDefault(cell => cell.DeleteCount == count) is { } cell && cell.Images == grid.Images
                        ? HtmlCell.Number(Accuracy(cell), share: high > low ? (Accuracy(cell) - low) / (high - low) : 0)
                        : new HtmlCell("dropped")),
                ]));
        }
    }

    public static string Text(SearchGrid grid)
    {
        if (!grid.Cells.Any(cell => cell.PrefixCount > 0 && cell.Images == grid.Images))
        {
            return $"{grid.Cells.Count} settings on {grid.Images} images, none with a prefix";
        }

        var best = grid.Best(SearchMetric.Accuracy);
        return FormattableString.Invariant(
            $"{grid.Cells.Count} settings on {grid.Images} images; the best: prefix from block {best.ExtractionBlock}, {best.PrefixCount} tokens, {best.DeleteCount} deleted before block {grid.DeleteBlock}, top-1 {Accuracy(best):0.00} %");
    }

    private static double Accuracy(GridCell cell) => 100.0 * cell.Correct / cell.Images;
}

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
