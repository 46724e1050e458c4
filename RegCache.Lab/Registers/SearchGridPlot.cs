using XPlot.Plotly;

namespace RegCache.Lab.Registers;

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
