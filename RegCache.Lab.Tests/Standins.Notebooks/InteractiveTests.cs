using Microsoft.AspNetCore.Html;
using Microsoft.Data.Analysis;
using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.CSharp;
using Microsoft.DotNet.Interactive.Events;
using Microsoft.DotNet.Interactive.Formatting;
using RegCache.Lab.Reports.Html;
using RegCache.Lab.Tests.Notebooks;

namespace RegCache.Lab.Tests.Standins.Notebooks;

[Collection(NotebookTests.Name)]
public sealed class InteractiveTests
{
    [Fact]
    public async Task A_kernel_runs_code_and_tells_its_events()
    {
        using var composite = new CompositeKernel { new CSharpKernel() };
        var first = await composite.SubmitCodeAsync("var x = 20; display(\"shown\");");
        Assert.Equal("shown", Assert.Single(first.Events.OfType<DisplayedValueProduced>()).Value);
        Assert.IsType<CommandSucceeded>(first.Events[^1]);
        var second = await composite.SubmitCodeAsync("x + 1");
        Assert.Equal(21, Assert.Single(second.Events.OfType<ReturnValueProduced>()).Value);
        Assert.True(composite.OfType<CSharpKernel>().Single().TryGetValue("x", out int value));
        Assert.Equal(20, value);
        var failed = await composite.SubmitCodeAsync("throw new System.Exception(\"bad\");");
        Assert.Equal("bad", Assert.IsType<CommandFailed>(failed.Events[^1]).Message);
    }

    [Fact]
    public void Formatters_are_chosen_by_type_and_the_latest_wins()
    {
        try
        {
            Formatter.Register<IReadOnlyList<int>>(_ => "list", "text/plain");
            Assert.Equal("list", new List<int> { 1 }.ToDisplayString());
            Formatter.Register<List<int>>(_ => "exact", "text/plain");
            Assert.Equal("exact", new List<int> { 1 }.ToDisplayString());
            Formatter.Register(typeof(Dictionary<,>), (_, writer) => writer.Write("open"), "text/plain");
            Assert.Equal("open", new Dictionary<int, string>().ToDisplayString());
            Formatter.Register<int[]>((_, _) => false, "text/plain");
            Assert.Equal("list", new[] { 1 }.ToDisplayString());
            Formatter.SetPreferredMimeTypesFor(typeof(List<int>), "text/plain", "text/html");
            Assert.Equal(["text/plain", "text/html"], FormattedValue.CreateManyFromObject(new List<int>()).Select(value => value.MimeType));
        }
        finally
        {
            Formatter.ResetToDefault();
        }
    }

    [Fact]
    public void Defaults_are_readable_and_encoded()
    {
        Assert.Equal("[ 1, 2 ]", new[] { 1, 2 }.ToDisplayString());
        Assert.Equal("{ A = 1, B = <null> }", new { A = 1, B = (string?)null }.ToDisplayString());
        Assert.Contains("&lt;b&gt;", new[] { new { Name = "<b>" } }.ToDisplayString("text/html"), StringComparison.Ordinal);
        Assert.Equal("<b>", new HtmlString("<b>").ToDisplayString("text/html"));
        Assert.Contains("(80 more)", Enumerable.Range(0, 100).ToArray().ToDisplayString("text/html"), StringComparison.Ordinal);
        Assert.Contains("Knot", new Knot().ToDisplayString("text/html"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_type_brings_its_formatters() => Assert.Equal("own", new Sourced().ToDisplayString());

    [Fact]
    public void Data_frames_are_tables()
    {
        DataFrameFormat.Register();
        var html = new DataFrame(new StringDataFrameColumn("<a>", ["x&y"]), new DoubleDataFrameColumn("b", [1.5])).ToDisplayString("text/html");
        Assert.Contains("<th>&lt;a&gt;</th>", html, StringComparison.Ordinal);
        Assert.Contains("<td>x&amp;y</td>", html, StringComparison.Ordinal);
        Assert.Contains(">1.5</td>", html, StringComparison.Ordinal);
    }

    private sealed class Knot
    {
        public Knot Self => this;
    }

    [TypeFormatterSource(typeof(Source))]
    private sealed class Sourced;

    private sealed class Source : ITypeFormatterSource
    {
        public IEnumerable<ITypeFormatter> CreateTypeFormatters() => [new PlainTextFormatter<Sourced>(_ => "own")];
    }
}
