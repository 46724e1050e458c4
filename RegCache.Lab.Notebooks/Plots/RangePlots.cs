using RegCache.Lab.Quantization.Ranges;
using XPlot.Plotly;

namespace RegCache.Lab.Notebooks.Plots;

/// <summary>The plots of a range study: one point a layer, dashed without RegCache, solid with it.</summary>
public static class RangePlots
{
    private static readonly string[] _colors = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"];

    /// <summary>The largest magnitude at the input of every layer of the float encoder.</summary>
    public static PlotlyChart LargestMagnitude(IReadOnlyList<RangeRow> rows) =>
        Lines(OfFloat(rows), row => row.LInf, "Largest magnitude of an image (float)", "l_inf, mean over images", "log");

    /// <summary>The kurtosis at the input of every layer of the float encoder.</summary>
    public static PlotlyChart Kurtosis(IReadOnlyList<RangeRow> rows) =>
        Lines(OfFloat(rows), row => row.Kurtosis, "Kurtosis (float; 3 for a normal distribution)", "kurtosis", "log");

    /// <summary>Signal over quantization error at the input of every layer under one quantizer, a colour for each bit-width.</summary>
    /// <param name="rows">From <see cref="RangeStudy.Run"/>.</param>
    /// <param name="baseline">The quantizer.</param>
    public static PlotlyChart SignalToNoise(IReadOnlyList<RangeRow> rows, string baseline) => Lines(
        [.. rows.Where(row => row.Baseline == baseline)],
        row => row.TokenSqnr,
        $"Signal over quantization error of a token ({baseline})",
        "decibels, mean over tokens",
        "linear");

    private static List<RangeRow> OfFloat(IReadOnlyList<RangeRow> rows) => [.. rows.Where(row => row.Baseline == RangeCase.Float)];

    private static PlotlyChart Lines(
        IReadOnlyList<RangeRow> rows, Func<RangeRow, double?> value, string title, string unit, string scale) => Chart.Plot(
        rows.GroupBy(row => row.Bits).Index().SelectMany(bits => bits.Item.GroupBy(row => row.Registers).Select(line =>
        {
            var points = line.Where(row => value(row) is not null).ToList();
            return new Scatter
            {
                name = $"{bits.Item.Key}, {(line.Key ? "RegCache" : "without")}",
                mode = "lines+markers",
                x = points.Select(row => $"{row.Block} {row.Layer}").ToArray(),
                y = points.Select(row => value(row)!.Value).ToArray(),
                line = new Line { color = _colors[bits.Index % _colors.Length], dash = line.Key ? "solid" : "dash", width = 2 },
            };
        })),
        new Layout.Layout
        {
            title = title,
            xaxis = new Xaxis { title = "block and layer", tickangle = -60 },
            yaxis = new Yaxis { title = unit, type = scale },
            margin = new Margin { l = 70, r = 20, t = 60, b = 130 },
            width = 860,
            height = 460,
        });
}
