using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RegCache.Lab.Notebooks.Running;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>What the cells of a lesson show, as values. A cell is named by a piece of its code.</summary>
internal sealed partial class LessonOutputs(NotebookDocument document)
{
    /// <summary>All text of the lesson's Markdown cells, each run of spaces and line ends as one space.</summary>
    public string Prose => Spaces().Replace(string.Join(' ', document.Cells.Where(cell => cell.Kind == "markdown").Select(cell => cell.Source)), " ");

    /// <summary>The plain text of a cell's outputs.</summary>
    public string Text(string code) => string.Join('\n', Data(code).Select(data => NotebookDocument.Text(data["text/plain"])));

    /// <summary>The numbers in the plain text of a cell's outputs that the pattern's groups find.</summary>
    public double[] Numbers(string code, string pattern)
    {
        var match = Regex.Match(Text(code), pattern);
        Assert.True(match.Success, $"`{code}` shows: {Text(code)}");
        return [.. match.Groups.Values.Skip(1).Select(group => Number(group.Value))];
    }

    /// <summary>A cell's table, row by row.</summary>
    public IReadOnlyList<TableRow> Table(string code)
    {
        var html = NotebookDocument.Text(Data(code).Single(data => data["text/html"] is not null)["text/html"]);
        var head = HeadCell().Matches(html).Select(match => match.Groups[1].Value).ToList();
        return [.. Row().Matches(html).Select(row => Cell().Matches(row.Value).Select(cell => WebUtility.HtmlDecode(cell.Groups[1].Value)).ToList())
            .Where(cells => cells.Count > 0).Select(cells => new TableRow(head, cells))];
    }

    /// <summary>A cell's plot: for each series its name and its values.</summary>
    public IReadOnlyDictionary<string, double[]> Plot(string code) => Figure(code)["data"]!.AsArray().ToDictionary(
        series => (string?)series!["name"] ?? "", series => series!["y"]!.AsArray().Select(value => (double)value!).ToArray());

    /// <summary>A cell's heat map, row by row.</summary>
    public double[][] HeatMap(string code) =>
        [.. Figure(code)["data"]![0]!["z"]!.AsArray().Select(row => row!.AsArray().Select(value => (double)value!).ToArray())];

    /// <summary>A cell's plot, its title and its first series as JSON.</summary>
    public (string Title, JsonNode Series) Drawing(string code) =>
        ((string)(Figure(code)["layout"]!["title"] as JsonObject)?["text"]! ?? (string)Figure(code)["layout"]!["title"]!, Figure(code)["data"]![0]!);

    public static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private JsonNode Figure(string code) =>
        Data(code).Select(data => data["application/vnd.plotly.v1+json"]).OfType<JsonNode>().Single();

    private List<JsonNode> Data(string code)
    {
        var cells = document.Cells.Where(cell => cell.IsCode && cell.Source.Contains(code, StringComparison.Ordinal) && cell.Outputs.Count > 0).ToList();
        Assert.True(cells.Count > 0, $"No cell with `{code}` shows anything.");
        return [.. cells[0].Outputs.Select(output => output!["data"]).OfType<JsonNode>()];
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex("<th(?: [^>]*)?>(.*?)</th>")]
    private static partial Regex HeadCell();

    [GeneratedRegex("<tr>.*?</tr>", RegexOptions.Singleline)]
    private static partial Regex Row();

    [GeneratedRegex("<td[^>]*>(.*?)</td>")]
    private static partial Regex Cell();
}

/// <summary>A row of a table in a lesson.</summary>
internal sealed record TableRow(IReadOnlyList<string> Head, IReadOnlyList<string> Cells)
{
    public string this[string column] => Cells[Head.ToList().IndexOf(column)];

    public double Number(string column) => LessonOutputs.Number(this[column]);
}
