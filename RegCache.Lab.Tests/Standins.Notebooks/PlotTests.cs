using System.Text.Json.Nodes;
using XPlot.Plotly;

namespace RegCache.Lab.Tests.Standins.Notebooks;

public sealed class PlotTests
{
    [Fact]
    public void Only_what_was_set_is_written()
    {
        var chart = Chart.Plot(
            new Trace[]
            {
                new Scatter { x = new[] { 1, 2 }, y = new[] { 0.5, double.NaN }, mode = "lines", line = new Line { width = 2 } },
                new Bar { y = new List<float> { 1.5f } },
            },
            new Layout.Layout { title = "</script>", showlegend = false, yaxis = new Yaxis { range = new[] { 0, 1 } } });
        var script = chart.GetPlottingJS();
        Assert.DoesNotContain("</script", script, StringComparison.Ordinal);
        var data = JsonNode.Parse(Between(script, "var data = ", ";\n"))!.AsArray();
        Assert.Equal("""{"type":"scatter","x":[1,2],"y":[0.5,null],"mode":"lines","line":{"width":2}}""", data[0]!.ToJsonString());
        Assert.Equal("""{"type":"bar","y":[1.5]}""", data[1]!.ToJsonString());
        var layout = JsonNode.Parse(Between(script, "var layout = ", ";\n"))!;
        Assert.Equal("</script>", (string)layout["title"]!);
        Assert.False((bool)layout["showlegend"]!);
        Assert.Contains($"Plotly.newPlot('{chart.Id}'", script, StringComparison.Ordinal);
    }

    [Fact]
    public void A_heat_map_takes_a_matrix()
    {
        var script = Chart.Plot(new Heatmap { z = new[,] { { 1, 2 }, { 3, 4 } } }).GetPlottingJS();
        Assert.Contains("\"z\":[[1,2],[3,4]]", script, StringComparison.Ordinal);
    }

    [Fact]
    public void A_chart_is_changed_after_it_was_made()
    {
        var chart = Chart.Plot(new Box { y = new[] { 1 } });
        chart.WithTitle("t");
        chart.WithXTitle("x");
        chart.WithYTitle("y");
        chart.WithSize(300, 200);
        chart.WithLabels(["first"]);
        Assert.Equal((300, 200), (chart.Width, chart.Height));
        Assert.Contains("\"name\":\"first\"", chart.GetPlottingJS(), StringComparison.Ordinal);
        Assert.Contains("""{"title":"t","xaxis":{"title":"x"},"yaxis":{"title":"y"}}""", chart.GetPlottingJS(), StringComparison.Ordinal);
    }

    private static string Between(string text, string start, string end)
    {
        var from = text.IndexOf(start, StringComparison.Ordinal) + start.Length;
        return text[from..text.IndexOf(end, from, StringComparison.Ordinal)];
    }
}
