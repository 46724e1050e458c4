using System.Text.Json.Nodes;
using RegCache.Lab.Notebooks.Running;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Every notebook runs, shows what it is kept with, and is kept as it should be.</summary>
[Collection(NotebookTests.Name)]
public sealed class LessonTests
{
    private const string FirstCell = "#r \"../artifacts/lab/RegCache.Lab.Notebooks.dll\"";
    private const int LargestFile = 3_000_000;

    public static TheoryData<string> Names => [.. Lesson.All.Select(lesson => lesson.Name)];

    public static TheoryData<string> Claims => [.. LessonClaim.All.Select(claim => claim.ToString())];

    [Theory]
    [MemberData(nameof(Names))]
    [Trait("Category", "Slow")]
    public async Task ItRunsAndShowsWhatItIsKeptWith(string name)
    {
        var lesson = Lesson.Of(name);
        var expected = Lesson.Kinds(NotebookDocument.Load(lesson.File));
        var shown = Lesson.Kinds(await lesson.RunAsync());
        Assert.Equal(expected, shown);
        Assert.Contains(shown, kinds => kinds.Contains("plot"));
        Assert.Contains(shown, kinds => kinds.Contains("frame"));
        var outputs = new LessonOutputs(await lesson.RunAsync());
        Assert.All(LessonClaim.All.Where(claim => claim.OnFewImages && name.StartsWith(claim.Lesson, StringComparison.Ordinal)), claim =>
            Assert.True(claim.Holds(outputs), $"A quick run does not show it: {claim}"));
    }

    [Theory]
    [MemberData(nameof(Claims))]
    public void TheOutputsShowWhatTheTextSays(string name)
    {
        var claim = LessonClaim.All.Single(claim => claim.ToString() == name);
        var outputs = new LessonOutputs(NotebookDocument.Load(Lesson.Of(claim.Lesson).File));
        Assert.Contains(claim.Quote, outputs.Prose, StringComparison.Ordinal);
        Assert.True(claim.Holds(outputs), $"The outputs do not show it: {claim}");
    }

    [Fact]
    public void EveryLessonClaimsSomething() =>
        Assert.All(Lesson.All, lesson => Assert.Contains(LessonClaim.All, claim => lesson.Name.StartsWith(claim.Lesson, StringComparison.Ordinal)));

    [Theory]
    [MemberData(nameof(Names))]
    public void ItIsKeptWithTheOutputsOfACleanRun(string name)
    {
        var lesson = Lesson.Of(name);
        var text = File.ReadAllText(lesson.File);
        Assert.InRange(text.Length, 1, LargestFile);
        Assert.DoesNotContain(Goldens.RepositoryRoot, text, StringComparison.Ordinal);
        Assert.DoesNotContain("/tmp/", text, StringComparison.Ordinal);
        var json = JsonNode.Parse(text)!;
        Assert.Equal(".net-csharp", (string)json["metadata"]!["kernelspec"]!["name"]!);
        var document = NotebookDocument.Load(lesson.File);
        var code = document.Cells.Where(cell => cell.IsCode).ToList();
        Assert.Equal(FirstCell, document.Cells[0].Source);
        Assert.Equal(Enumerable.Range(1, code.Count).Select(number => (int?)number), code.Select(cell => cell.ExecutionCount));
        Assert.Single(code, cell => cell.Tags.Contains("parameters"));
        Assert.All(code.SelectMany(cell => cell.Outputs.OfType<JsonObject>()), output =>
        {
            Assert.NotEqual("error", (string)output["output_type"]!);
            Assert.NotEqual("stderr", NotebookDocument.Text(output["name"]));
        });

        // Pages of code hosts run no scripts.
        Assert.DoesNotContain("regcache-plot", text, StringComparison.Ordinal);
        var plots = code.SelectMany(cell => cell.Outputs).Select(output => output!["data"]).Where(data => data?["application/vnd.plotly.v1+json"] is not null).ToList();
        Assert.All(plots, data => Assert.StartsWith("iVBOR", NotebookDocument.Text(data!["image/png"]), StringComparison.Ordinal));
    }

    [Fact]
    public void TheLessonsAreNumberedWithoutGaps() => Assert.Equal(
        Enumerable.Range(0, Lesson.All.Count).Select(number => $"{number:00}"), Lesson.All.Select(lesson => lesson.Name[..2]));
}
