using XPlot.Plotly;

namespace RegCache.Lab.Registers;

/// <summary>Final accuracies as bars, by bit-width.</summary>
public static class RegCacheSummaryPlot
{
    /// <summary>Draws one group of bars a bit-width: float, quantized, prefix only, delete only, both.</summary>
    public static PlotlyChart Bars(IReadOnlyList<RegCacheSummary> rows)
    {
        Bar Variant(string name, Func<RegCacheSummary, double> accuracy) => new()
        {
            name = name,
            x = rows.Select(row => row.Bits).ToArray(),
            y = rows.Select(accuracy).ToArray(),
        };
        return Chart.Plot(
            [
                Variant("float", row => row.Float),
                Variant("quantized", row => row.Quantized),
                Variant("prefix only", row => row.PrefixOnly),
                Variant("delete only", row => row.DeleteOnly),
                Variant("both", row => row.Both),
            ],
            new Layout.Layout
            {
                title = "Top-1 accuracy on images used for no choice",
                yaxis = new Yaxis { title = "top-1 %" },
                barmode = "group",
                width = 860,
                height = 420,
            });
    }
}
