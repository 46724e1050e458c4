using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The table of a final evaluation.</summary>
internal static class FinalTable
{
    public static void Print(IAnsiConsole console, FinalScores scores, QuantizationBits bits)
    {
        var table = new Table().AddColumns("model", "prefix", "deletion", "top-1 %", "top-5 %");
        void Row(string model, string prefix, string deletion, PlanScore score) =>
            table.AddRow(model, prefix, deletion, $"{score.Accuracy:0.00}", $"{score.AccuracyTop5:0.00}");
        Row("float", "", "", scores.Float);
        Row($"{bits}", "", "", scores.Without);
        Row($"{bits}", "yes", "", scores.PrefixOnly);
        Row($"{bits}", "", "yes", scores.DeleteOnly);
        Row($"{bits}", "yes", "yes", scores.Both);
        foreach (var column in table.Columns.Skip(3))
        {
            column.RightAligned();
        }

        console.Write(table);
    }
}
