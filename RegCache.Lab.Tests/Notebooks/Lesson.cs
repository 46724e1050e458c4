using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RegCache.Lab.Notebooks.Running;
using RegCache.Lab.Notebooks.Formats;
using RegCache.Lab.Notebooks.Pages;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>One of the kit's notebooks, as it is kept and as it runs with small parameters.</summary>
internal sealed partial class Lesson
{
    private const string SolutionTag = "solution";

    // Enough for every cell to have something to show.
    private static readonly Dictionary<string, string> SmallParameters = new()
    {
        ["00-tour"] = "searchCount=48 testCount=48",
        ["01-zero-shot-and-retrieval"] = "searchCount=48 testCount=48 pairCount=24",
        ["02-outliers-and-attention-sinks"] = "searchCount=24 pictureCount=3",
        ["03-what-quantization-does"] = "imageCount=8 testCount=48",
        ["04-the-sensitive-block"] = "searchCount=48",
        ["05-register-candidates-and-prefix"] = "searchCount=48 testCount=48 topTokens=10 sensitiveBlock=3",
        ["06-prefix-and-deletion"] = "searchCount=48 testCount=48 sensitiveBlock=3 maxPrefix=2 maxDelete=3",
        ["07-final-table"] = "searchCount=24 testCount=24 calibrationCount=4 maxPrefix=1 maxDelete=1",
        ["08-integer-execution"] = "testCount=48 speedRuns=1",
        ["09-token-merging"] = "testCount=48 speedRuns=1",
        ["10-memory"] = "steps=2 testCount=48 mostDeleted=1",
        ["11-late-tokens"] = "trainCount=240 testCount=48 epochs=1",
        ["12-dynamic-pooling-text"] = "steps=4",
        ["13-pooled-clip"] = "testCount=48 steps=2",
        ["14-five-systems-one-encoder"] = "searchCount=48 testCount=48 maxDelete=1 speedRuns=4",
    };

    private static readonly ConcurrentDictionary<string, Lazy<Task<NotebookDocument>>> Runs = [];

    private Lesson(string name) => Name = name;

    public static string Folder { get; } = Path.Combine(Goldens.RepositoryRoot, "notebooks");

    /// <summary>All of them, in order.</summary>
    public static IReadOnlyList<Lesson> All { get; } =
        [.. Directory.GetFiles(Folder, "*.ipynb").Select(file => new Lesson(Path.GetFileNameWithoutExtension(file))).OrderBy(lesson => lesson.Name, StringComparer.Ordinal)];

    public string Name { get; }

    public string File => Path.Combine(Folder, Name + ".ipynb");

    public static Lesson Of(string name) => All.Single(lesson => lesson.Name.StartsWith(name, StringComparison.Ordinal));

    /// <summary>What the notebook shows, a list of kinds for each code cell that is kept.</summary>
    public static IReadOnlyList<IReadOnlyList<string>> Kinds(NotebookDocument document) =>
    [
        .. document.Cells
            .Where(cell => cell.IsCode && !cell.Tags.Contains("injected-parameters") && !cell.Tags.Contains(SolutionTag))
            .Select(cell => cell.Outputs.OfType<JsonObject>().Select(Kind).OfType<string>().ToList()),
    ];

    /// <summary>The notebook with small parameters, nothing run yet.</summary>
    /// <param name="further">Further parameters, each as <c>name=value</c>.</param>
    public NotebookDocument Small(params string[] further)
    {
        var document = NotebookDocument.Load(File);
        var parameters = SmallParameters.TryGetValue(Name, out var text)
            ? text
            : throw new KeyNotFoundException($"The notebook {Name} has no small parameters for tests.");
        NotebookParameters.Apply(document, Name, parameters.Split(' ').Concat(further).Select(pair => pair.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]));
        return document;
    }

    /// <summary>The notebook after a headless run with small parameters and the solutions of its exercises at the end; run once.</summary>
    public Task<NotebookDocument> RunAsync() => Runs.GetOrAdd(Name, _ => new(RunOnceAsync)).Value;

    private async Task<NotebookDocument> RunOnceAsync()
    {
        var document = Small();
        var solutions = document.Cells.Where(cell => cell.Kind == "markdown").SelectMany(cell => Solutions().Matches(cell.Source)).ToList();
        Assert.True(solutions.Count > 0, $"{Name} has no exercise with a solution.");
        foreach (var solution in solutions)
        {
            document.InsertCode(document.Cells.Count, solution.Groups["code"].Value, SolutionTag);
        }

        var progress = new StringWriter();
        var result = await new NotebookRunner(Folder, progress).RunAsync(document, TimeSpan.FromMinutes(5));
        Assert.True(result.Succeeded, $"{Name}, code cell {result.FailedCell}: {string.Join('\n', result.Error?.Traceback ?? [])}\n{progress}");

        // Tests that count tensors run after these.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return document;
    }

    private static string? Kind(JsonObject output)
    {
        if (output["data"] is not JsonObject data)
        {
            return null;
        }

        var html = NotebookDocument.Text(data["text/html"]);
        return data.ContainsKey("application/vnd.plotly.v1+json") || html.Contains(PlotFormat.CssClass + "\"", StringComparison.Ordinal) ? "plot"
            : html.Contains("class=\"regcache-plotly\"", StringComparison.Ordinal) ? null
            : data.ContainsKey("image/png") ? "picture"
            : html.Contains("class=\"dataframe\"", StringComparison.Ordinal) ? "frame"
            : html.Contains("class=\"regcache\"", StringComparison.Ordinal) ? "card"
            : "text";
    }

    [GeneratedRegex("<details><summary>Solution</summary>\n\n```csharp\n(?<code>.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex Solutions();
}
