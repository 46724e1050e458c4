using RegCache.Lab.Memory;
using XPlot.Plotly;

namespace RegCache.Lab.Notebooks.Plots;

/// <summary>A memory study as bars: recall at 1 of every model, set by set.</summary>
public static class MemoryStudyPlot
{
    /// <summary>Draws one direction, a group of bars for each set.</summary>
    /// <param name="rows">From <see cref="MeasuredSet.Rows"/>, of any number of sets.</param>
    /// <param name="direction"><c>image to text</c> or <c>text to image</c>.</param>
    public static PlotlyChart Bars(IEnumerable<MemoryStudyRow> rows, string direction)
    {
        var shown = rows.Where(row => row.Direction == direction).ToList();
        return Chart.Plot(
            shown.GroupBy(row => row.Model).Select(model => new Bar
            {
                name = model.Key,
                x = model.Select(row => row.Dataset).ToArray(),
                y = model.Select(row => Math.Round(row.R1, 2)).ToArray(),
            }),
            new Layout.Layout
            {
                title = $"Recall at 1, {direction}",
                yaxis = new Yaxis { title = "R@1, %", range = new[] { 0.0, 100.0 } },
                barmode = "group",
                width = 860,
                height = 400,
            });
    }
}
