using System.Globalization;
using System.Text.RegularExpressions;
using Xunit;

namespace RegCache.Lab.Tests.EndToEnd;

/// <summary>The demo as a new user runs it, at one bit-width.</summary>
public sealed partial class DemoTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    [Trait("Category", "Slow")]
    public void TheDemoRecoversMostOfTheLossAndWritesItsReport()
    {
        string[] arguments = ["demo", "--bits", "6", "--out", _folder["demo"]];
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, arguments);
        Assert.True(code == 0, output + error);
        Assert.Equal(10, output.Split('\n').Count(line => TenLines().IsMatch(line)));

        var row = File.ReadAllLines(Directory.GetFiles(_folder["demo", "run-naive-W6A6"], "result_*.csv").Single());
        var names = row[0].Split(',');
        double Value(string name) => double.Parse(row[1].Split(',')[Array.IndexOf(names, name)], CultureInfo.InvariantCulture);
        var (plain, quantized, both) = (Value("val_top1_float"), Value("val_top1_quantized"), Value("val_top1"));
        Assert.True(plain >= 90, $"float {plain}");
        Assert.True(plain - quantized >= 15, $"float {plain}, quantized {quantized}");
        Assert.True(both - quantized >= 0.8 * (plain - quantized), $"float {plain}, quantized {quantized}, both {both}");

        var report = File.ReadAllText(_folder["demo", "report-naive.html"]);
        Assert.Equal(5, report.Split("Plotly.newPlot").Length - 1);
        Assert.Contains("data:image/png;base64,", report, StringComparison.Ordinal);
        Assert.DoesNotContain("src=\"http", report, StringComparison.Ordinal);

        // A second demo finds everything done.
        var (_, again, told) = ExternalProcess.Run(ExternalProcess.Regcache, arguments);
        Assert.Equal(output, again);
        Assert.DoesNotContain("stage 5", told, StringComparison.Ordinal);
    }

    [GeneratedRegex("^(quantization-sensitive|prefix-extraction|selected|search|final) .* +: ")]
    private static partial Regex TenLines();

    public void Dispose() => _folder.Dispose();
}
