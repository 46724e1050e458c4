using Microsoft.Data.Analysis;
using RegCache.Lab.Notebooks;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Notebooks.Plots;
using RegCache.Lab.Quantization.Ranges;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Tables and plots of a range study.</summary>
internal static class StudyRangesReport
{
    private const int MostNames = 6;

    public static void Print(IAnsiConsole console, IReadOnlyList<RangeRow> rows)
    {
        var table = new Table().Title("inputs of the linear layers, without > with RegCache")
            .AddColumns("quantizer", "bits", "largest l_inf", "largest kurtosis", "token SQNR, dB", "bits gained");
        foreach (var row in RangeSummary.Of(rows))
        {
            table.AddRow(
                row.Baseline,
                row.Bits,
                $"{row.LInfWithout:0.0} > {row.LInfWith:0.0}",
                $"{row.KurtosisWithout:0} > {row.KurtosisWith:0}",
                row.SqnrWithout is null ? "" : $"{row.SqnrWithout:0.0} > {row.SqnrWith:0.0}",
                row.BitsGained is null ? "" : $"{row.BitsGained:+0.0;-0.0}, at most {row.MostBitsGained:+0.0;-0.0}");
        }

        foreach (var column in table.Columns.Skip(2))
        {
            column.RightAligned();
        }

        console.Write(table);
        foreach (var line in FewerBits.From(rows))
        {
            console.WriteLine(Sentence(line));
        }
    }

    public static void Write(string path, string model, RegCacheSetting setting, string stream, IReadOnlyList<RangeRow> rows)
    {
        var page = new ReportPage($"Ranges of {model} with and without RegCache");
        page.Paragraph(
            $"The inputs of all linear layers, without RegCache and with it: {setting.InWords()}. {stream} Inputs behind a reparameterised LayerNorm are measured in the channels' own units.");
        page.Heading("In short");
        page.Table(Summaries(rows));
        page.Paragraph("Each cell is without > with RegCache: the largest l_inf and kurtosis of all layers. SQNR is the signal over the quantization error of a token, a mean over tokens and layers. A bit halves the step, which is worth 6.02 dB; \"bits gained\" is the difference in those units.");
        page.Lines(FewerBits.From(rows).Select(Sentence));
        page.Heading("Ranges");
        page.Plot(RangePlots.LargestMagnitude(rows));
        page.Plot(RangePlots.Kurtosis(rows));
        page.Heading("Quantization error");
        foreach (var baseline in rows.Select(row => row.Baseline).Where(name => name != RangeCase.Float).Distinct())
        {
            page.Plot(RangePlots.SignalToNoise(rows, baseline));
        }

        page.Heading("All layers");
        page.Table(rows.ToDataFrame());
        page.Write(path);
    }

    private static string Sentence(FewerBits line) =>
        $"{line.Baseline}: {line.Fewer} with RegCache is as precise as {line.More} without it at {line.Layers.Count} of {line.Of} layer inputs"
        + (line.Layers.Count is > 0 and <= MostNames ? $": {string.Join(", ", line.Layers)}" : "");

    // For the page: rounded, under names of several words.
    private static DataFrame Summaries(IReadOnlyList<RangeRow> rows) => RangeSummary.Of(rows).Select(row => new
    {
        Quantizer = row.Baseline,
        row.Bits,
        LInf = $"{row.LInfWithout:0.0} > {row.LInfWith:0.0}",
        Kurtosis = $"{row.KurtosisWithout:0} > {row.KurtosisWith:0}",
        TokenSqnr = row.SqnrWithout is null ? "" : $"{row.SqnrWithout:0.0} > {row.SqnrWith:0.0} dB",
        BitsGained = row.BitsGained is null ? "" : $"{row.BitsGained:+0.0;-0.0}",
        AtMost = row.MostBitsGained is null ? "" : $"{row.MostBitsGained:+0.0;-0.0}",
    }).ToDataFrame();
}
