using XPlot.Plotly;

namespace RegCache.Lab.Evaluation;

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
