using System.Globalization;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Notebooks;

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
        ("float", scores.Float), ("quantized", scores.Without), ("prefix only", scores.PrefixOnly), ("delete only", scores.DeleteOnly),
        ("RegCache", scores.Both),
    ];
}
