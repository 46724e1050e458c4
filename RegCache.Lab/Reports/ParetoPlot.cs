using System.Globalization;
using System.Text;

namespace RegCache.Lab.Reports;

/// <summary>One point of a <see cref="ParetoPlot"/>.</summary>
/// <param name="Cost">Where it is along the horizontal axis, in the panel's unit.</param>
/// <param name="Accuracy">Top-1 accuracy in percent.</param>
/// <param name="Label">Shown where the pointer rests on it; null shows nothing.</param>
public sealed record ParetoPoint(double Cost, double Accuracy, string? Label = null);

/// <summary>One line of a <see cref="ParetoPlot"/>.</summary>
/// <param name="Name">Shown in the legend.</param>
/// <param name="Points">Its points, in any order.</param>
public sealed record ParetoSeries(string Name, IReadOnlyList<ParetoPoint> Points)
{
    /// <summary>Whether the numbers come from a paper: drawn dashed, with open circles.</summary>
    public bool IsPublished { get; init; }
}

/// <summary>Accuracy against cost as an SVG file: one line a series, side by side for each cost.</summary>
public sealed class ParetoPlot
{
    private const int PanelWidth = 460;
    private const int PanelHeight = 340;
    private const int Margin = 56;
    private static readonly string[] Colors = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f"];

    private readonly List<(string Title, IReadOnlyList<ParetoSeries> Series)> _panels = [];

    /// <summary>Adds a panel.</summary>
    /// <param name="title">What its horizontal axis is, with the unit.</param>
    /// <param name="series">Points with cost and accuracy; the same names get the same colours in all panels.</param>
    public void Add(string title, IReadOnlyList<ParetoSeries> series) => _panels.Add((title, series));

    /// <summary>The plot as SVG text.</summary>
    public string ToSvg()
    {
        var names = _panels.SelectMany(panel => panel.Series).Select(series => series.Name).Distinct().ToList();
        var (width, height) = (PanelWidth * Math.Max(1, _panels.Count), PanelHeight + (20 * ((names.Count + 3) / 4)));
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">""").AppendLine();
        svg.AppendLine("""<rect width="100%" height="100%" fill="white"/>""");
        foreach (var (index, panel) in _panels.Index())
        {
            DrawPanel(svg, index * PanelWidth, panel.Title, panel.Series, names);
        }

        foreach (var (index, name) in names.Index())
        {
            var (x, y) = (Margin + (index % 4 * 200), PanelHeight + (20 * (index / 4)) + 6);
            svg.Append(CultureInfo.InvariantCulture, $"""<rect x="{x}" y="{y - 9}" width="14" height="4" fill="{Color(names, name)}"/>""");
            Text(svg, x + 20, y, "start", name);
        }

        return svg.AppendLine("</svg>").ToString();
    }

    private static void DrawPanel(StringBuilder svg, int left, string title, IReadOnlyList<ParetoSeries> series, List<string> names)
    {
        var points = series.SelectMany(one => one.Points).ToList();
        var across = Axis.For([.. points.Select(point => point.Cost)]);
        var upward = Axis.For([.. points.Select(point => point.Accuracy)]);
        double X(double value) => left + Margin + (across.Share(value) * (PanelWidth - (1.5 * Margin)));
        double Y(double value) => PanelHeight - Margin - (upward.Share(value) * (PanelHeight - (1.5 * Margin)));

        foreach (var tick in across.Ticks)
        {
            Line(svg, X(tick), Y(upward.Low), X(tick), Y(upward.High), "#e4e4e4");
            Text(svg, X(tick), Y(upward.Low) + 16, "middle", tick.ToString("0.###", CultureInfo.InvariantCulture));
        }

        foreach (var tick in upward.Ticks)
        {
            Line(svg, X(across.Low), Y(tick), X(across.High), Y(tick), "#e4e4e4");
            Text(svg, X(across.Low) - 6, Y(tick) + 4, "end", tick.ToString("0.###", CultureInfo.InvariantCulture));
        }

        Text(svg, left + (PanelWidth / 2.0), PanelHeight - 18, "middle", title);
        Text(svg, left + Margin, 18, "start", "top-1 accuracy, %");
        foreach (var one in series)
        {
            var color = Color(names, one.Name);
            var sorted = one.Points.OrderBy(point => point.Cost).ToList();
            var dashes = one.IsPublished ? " stroke-dasharray=\"5 4\"" : "";
            var path = string.Join(' ', sorted.Select(point => string.Create(CultureInfo.InvariantCulture, $"{X(point.Cost):0.0},{Y(point.Accuracy):0.0}")));
            svg.AppendLine($"""<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"{dashes}/>""");
            foreach (var point in sorted)
            {
                svg.Append(CultureInfo.InvariantCulture, $"""<circle cx="{X(point.Cost):0.0}" cy="{Y(point.Accuracy):0.0}" r="3.5" stroke="{color}" fill="{(one.IsPublished ? "white" : color)}">{Title(point)}</circle>""").AppendLine();
            }
        }
    }

    private static string Title(ParetoPoint point) => point.Label is { } label ? $"<title>{Escaped(label)}</title>" : "";

    private static string? Escaped(string text) => System.Security.SecurityElement.Escape(text);

    private static string Color(List<string> names, string name) => Colors[names.IndexOf(name) % Colors.Length];

    private static void Line(StringBuilder svg, double x1, double y1, double x2, double y2, string color) =>
        svg.Append(CultureInfo.InvariantCulture, $"""<line x1="{x1:0.0}" y1="{y1:0.0}" x2="{x2:0.0}" y2="{y2:0.0}" stroke="{color}"/>""").AppendLine();

    private static void Text(StringBuilder svg, double x, double y, string anchor, string text) =>
        svg.Append(CultureInfo.InvariantCulture, $"""<text x="{x:0.0}" y="{y:0.0}" text-anchor="{anchor}">{Escaped(text)}</text>""").AppendLine();

    /// <summary>A range of values with round ticks.</summary>
    private sealed record Axis(double Low, double High, double Step)
    {
        public IEnumerable<double> Ticks => Enumerable.Range(0, (int)Math.Round((High - Low) / Step) + 1).Select(index => Low + (index * Step));

        public static Axis For(IReadOnlyCollection<double> values)
        {
            var (low, high) = values.Count == 0 ? (0, 1) : (values.Min(), values.Max());
            var rough = Math.Max(high - low, Math.Max(1e-6, Math.Abs(high) * 1e-3)) / 5;
            var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
            var step = new[] { 1, 2, 5, 10 }.Select(factor => factor * power).First(candidate => candidate >= rough * 0.999);
            var (bottom, top) = (Math.Floor(low / step) * step, Math.Ceiling(high / step) * step);
            return new(bottom, top > bottom ? top : bottom + step, step);
        }

        public double Share(double value) => (value - Low) / (High - Low);
    }
}
