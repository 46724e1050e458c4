using RegCache.Lab.Encoders;
using XPlot.Plotly;

namespace RegCache.Lab.Registers;

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
