using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Registers;
using XPlot.Plotly;

namespace RegCache.Lab.Notebooks.Plots;

/// <summary>Where outlier tokens arise: largest and median patch norm along the encoder.</summary>
public static class TokenNormsPlot
{
    /// <summary>Draws the norms, logarithmic, by place.</summary>
    /// <param name="norms">From <see cref="TokenNorms.Measure"/>.</param>
    public static PlotlyChart ByBlock(IReadOnlyList<TokenNorms> norms)
    {
        Scatter Line(string name, Func<TokenNorms, double?> value) => new()
        {
            name = name,
            mode = "lines+markers",
            x = norms.Where(row => value(row) is not null).Select(row => row.Place).ToArray(),
            y = norms.Select(value).OfType<double>().ToArray(),
        };
        return Chart.Plot(
            [
                Line("largest patch norm", row => row.MaxNorm),
                Line("median patch norm", row => row.MedianNorm),
                Line("largest MLP hidden value", row => row.MaxMlpHidden),
            ],
            new Layout.Layout
            {
                title = "Patch tokens along the encoder (means over images)",
                xaxis = new Xaxis { title = "stream after" },
                yaxis = new Yaxis { title = "magnitude", type = "log" },
                width = 860,
                height = 420,
            });
    }
}

/// <summary>Stage 1 as bars: what quantizing one layer alone costs, by block.</summary>
public static class SensitivityPlot
{
    /// <summary>Draws the loss of accuracy, or the error of the features.</summary>
    /// <param name="table">Stage 1.</param>
    /// <param name="metric">Accuracy: points lost on the search set. Error: mean squared change of the feature, logarithmic.</param>
    public static PlotlyChart Bars(SensitivityTable table, SearchMetric metric = SearchMetric.Mse)
    {
        var isError = metric == SearchMetric.Mse;
        return Chart.Plot(
            LinearKinds.All.Select(kind =>
            {
                var rows = table.Rows.Where(row => row.Layer == kind).ToList();
                return new Bar
                {
                    name = kind.Name(),
                    x = rows.Select(row => $"block {row.Block}").ToArray(),
                    y = rows.Select(row => isError ? row.FeatureMse : 100.0 * (table.FloatCorrect - row.Correct) / table.Images).ToArray(),
                };
            }),
            new Layout.Layout
            {
                title = "One layer quantized, all others float",
                yaxis = isError
                    ? new Yaxis { title = "squared change of the feature", type = "log" }
                    : new Yaxis { title = "accuracy lost, points" },
                barmode = "group",
                width = 860,
                height = 420,
            });
    }
}

/// <summary>Stage 5 as a heat map: search accuracy over prefix count and delete count.</summary>
public static class SearchGridPlot
{
    /// <summary>Draws the settings of one extraction block.</summary>
    /// <param name="grid">Stage 5.</param>
    /// <param name="extractionBlock">The block that the prefix comes from.</param>
    /// <remarks>Settings that were dropped because they could not win stay empty.</remarks>
    public static PlotlyChart HeatMap(SearchGrid grid, int extractionBlock)
    {
        var cells = grid.Cells.Where(cell => cell.ExtractionBlock == extractionBlock).ToList();
        int[] prefixes = [.. cells.Select(cell => cell.PrefixCount).Distinct().Order()];
        int[] deletions = [.. cells.Select(cell => cell.DeleteCount).Distinct().Order()];
        var accuracies = cells.Where(cell => cell.Images == grid.Images)
            .ToDictionary(cell => (cell.PrefixCount, cell.DeleteCount), cell => 100.0 * cell.Correct / cell.Images);
        return Chart.Plot(
            new Heatmap
            {
                x = deletions,
                y = prefixes,
                z = prefixes.Select(prefix => deletions.Select(deletion =>
                    accuracies.TryGetValue((prefix, deletion), out var accuracy) ? accuracy : (double?)null).ToArray()).ToArray(),
                colorscale = "Viridis",
                colorbar = new Colorbar { title = "top-1 %" },
            },
            new Layout.Layout
            {
                title = $"Search accuracy, prefix from block {extractionBlock}",
                xaxis = new Xaxis { title = $"tokens deleted before block {grid.DeleteBlock}", dtick = 1 },
                yaxis = new Yaxis { title = "prefix tokens", dtick = 1 },
                width = 860,
                height = 480,
            });
    }
}

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
