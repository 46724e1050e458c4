using RegCache.Lab.Registers;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Final accuracies by bit-width, one line each.</summary>
internal static class SummaryTable
{
    public static void Print(IAnsiConsole console, string title, IReadOnlyList<RegCacheSummary> rows)
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

        foreach (var column in table.Columns.Skip(1))
        {
            column.RightAligned();
        }

        console.Write(table);
        console.WriteLine("t: block of the prefix, tau: its tokens; del.: tokens deleted before block k.");
    }
}
