using RegCache.Lab.Cli.Options;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>RegCache's results as tables for people.</summary>
internal static class ResultTables
{
    /// <summary>A final evaluation, one line a variant.</summary>
    public static void PrintFinal(IAnsiConsole console, FinalScores scores, QuantizationBits bits)
    {
        var table = new Table().AddColumns("model", "prefix", "deletion", "top-1 %", "top-5 %");
        void Row(string model, string prefix, string deletion, PlanScore score) =>
            table.AddRow(model, prefix, deletion, $"{score.Accuracy:0.00}", $"{score.AccuracyTop5:0.00}");
        Row("float", "", "", scores.Float);
        Row($"{bits}", "", "", scores.Quantized);
        Row($"{bits}", "yes", "", scores.PrefixOnly);
        Row($"{bits}", "", "yes", scores.DeleteOnly);
        Row($"{bits}", "yes", "yes", scores.Both);
        Print(console, table, firstNumber: 3);
    }

    /// <summary>Final accuracies by bit-width, one line each; nothing without lines.</summary>
    public static void PrintSummaries(IAnsiConsole console, string title, IReadOnlyList<RegCacheSummary> rows)
    {
        if (rows.Count == 0)
        {
            return;
        }

        var table = new Table().Title($"{title}: top-1 %")
            .AddColumns("bits", "float", "quant.", "prefix", "delete", "both", "recov.", "t", "tau", "k", "del.");
        foreach (var row in rows)
        {
            table.AddRow(
                row.Bits, $"{row.Float:0.00}", $"{row.Quantized:0.00}", $"{row.PrefixOnly:0.00}", $"{row.DeleteOnly:0.00}", $"{row.Both:0.00}",
                row.Recovered is { } share ? $"{share:0} %" : "", $"{row.ExtractionBlock}", $"{row.PrefixCount}", $"{row.DeleteBlock}", $"{row.DeleteCount}");
        }

        Print(console, table, firstNumber: 1);
        console.WriteLine("t: block of the prefix, tau: its tokens; del.: tokens deleted before block k.");
    }

    /// <summary>A table with a line for each plan: what it is made of, as far as the plans differ in it or have it, and its numbers.</summary>
    /// <param name="steps">The plans.</param>
    /// <param name="titles">Titles of the numbers.</param>
    /// <param name="numbers">The numbers of a plan, by its place.</param>
    public static Table OfSteps(IReadOnlyList<NamedPlan> steps, IReadOnlyList<string> titles, Func<int, IReadOnlyList<string>> numbers)
    {
        (string Title, Func<NamedPlan, string> Cell)[] parts =
        [
            ("model", step => step.Quantizer),
            ("prefix", step => step.Setting.PrefixCount > 0 ? $"{step.Setting.PrefixCount}" : ""),
            ("deleted", step => step.Setting.DeleteCount > 0 ? $"{step.Setting.DeleteCount}" : ""),
            ("pooling", step => step.Pooling?.ToString() ?? ""),
            ("merging", step => step.Merging?.ToString() ?? ""),
        ];
        parts = [.. parts.Where(part => steps.Any(step => part.Cell(step).Length > 0))];
        var table = new Table().AddColumns([.. parts.Select(part => part.Title)]);
        titles.ToList().ForEach(title => table.AddColumn(new TableColumn(title).RightAligned()));
        foreach (var (index, step) in steps.Index())
        {
            table.AddRow([.. parts.Select(part => Markup.Escape(part.Cell(step))), .. numbers(index)]);
        }

        return table;
    }

    private static void Print(IAnsiConsole console, Table table, int firstNumber)
    {
        foreach (var column in table.Columns.Skip(firstNumber))
        {
            column.RightAligned();
        }

        console.Write(table);
    }
}
