using RegCache.Lab.Reports;
using XPlot.Plotly;

namespace RegCache.Lab.Notebooks.Plots;

/// <summary>Accuracy over epochs, a line for each training.</summary>
public static class AccuracyPlot
{
    /// <summary>Draws curves.</summary>
    /// <param name="curves">The curves, from <see cref="AccuracyCurve.Read"/>.</param>
    public static PlotlyChart Of(IReadOnlyList<AccuracyCurve> curves) => Chart.Plot(
        curves.Select(curve => new Scatter
        {
            name = curve.Name,
            mode = "lines+markers",
            x = curve.Points.Select(point => point.Epoch).ToArray(),
            y = curve.Points.Select(point => 100 * point.Top1).ToArray(),
        }),
        new Layout.Layout
        {
            title = "Top-1 accuracy",
            xaxis = new Xaxis { title = "epoch" },
            yaxis = new Yaxis { title = "percent" },
            margin = new Margin { l = 70, r = 20, t = 60, b = 60 },
            width = 860,
            height = 460,
        });
}
