using System.Text.RegularExpressions;
using RegCache.Lab.Encoders;
using RegCache.Lab.Notebooks.Plots;
using RegCache.Lab.Registers;
using XPlot.Plotly;

namespace RegCache.Lab.Tests.Registers;

public sealed partial class PlotTests
{
    [Fact]
    public void TheHeatMapHasARowForEachPrefixCountAndLeavesDroppedSettingsEmpty()
    {
        var grid = new SearchGrid(100, 2, [new(1, 0, 0, 100, 50, null), new(1, 0, 1, 40, 3, null), new(1, 1, 0, 100, 75, null), new(1, 1, 1, 100, 80, null), new(2, 1, 0, 100, 9, null)]);
        var drawing = Drawing(SearchGridPlot.HeatMap(grid, 1));
        Assert.Contains("\"z\":[[50,null],[75,80]]", drawing, StringComparison.Ordinal);
    }

    [Fact]
    public void SensitivityBarsShowPointsLost()
    {
        var table = new SensitivityTable(50, 40, [.. LinearKinds.All.Select(kind => new SensitivityRow(0, kind, 30 + (int)kind, 0.25))]);
        var drawing = Drawing(SensitivityPlot.Bars(table, SearchMetric.Accuracy));
        Assert.Contains("\"y\":[20]", drawing, StringComparison.Ordinal);
        Assert.Contains("\"y\":[14]", drawing, StringComparison.Ordinal);
    }

    // Without blanks, and with whole numbers as the shortest text.
    private static string Drawing(PlotlyChart chart) => Clutter().Replace(chart.GetInlineHtml(), "");

    [GeneratedRegex(@"\s|\.0(?=[\],])")]
    private static partial Regex Clutter();
}
