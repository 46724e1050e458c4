using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Completion;
using Microsoft.CodeAnalysis.Host.Mef;
using Microsoft.CodeAnalysis.QuickInfo;
using Microsoft.CodeAnalysis.Text;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Completion and explanation of a cell's code, by the compiler's own services, on a copy of the chain of cells.</summary>
internal sealed class ScriptInspector(ScriptEngine engine) : IDisposable
{
    private readonly AdhocWorkspace _workspace = new(MefHostServices.DefaultHost);
    private readonly Lock _gate = new();
    private Dictionary<Submission, (ProjectId Project, ProjectId? Previous)> _projects = [];

    public CompletionList Complete(string code, int position)
    {
        position = Math.Clamp(position, 0, code.Length);
        var document = Open(code);
        var found = Wait(CompletionService.GetService(document)!.GetCompletionsAsync(document, position));
        var typed = code[found.Span.Start..position];
        return new CompletionList(found.Span.Start, position, [.. found.ItemsList
            .Where(item => item.DisplayText.StartsWith(typed, StringComparison.OrdinalIgnoreCase))
            .DistinctBy(item => item.DisplayText)
            .OrderBy(item => item.DisplayText.StartsWith(typed, StringComparison.Ordinal) ? 0 : 1)
            .Select(item => new CompletionItem(item.DisplayText, item.Tags.FirstOrDefault(string.Empty).ToLowerInvariant()))]);
    }

    public string? Inspect(string code, int position)
    {
        var document = Open(code);
        var found = Wait(QuickInfoService.GetService(document)!.GetQuickInfoAsync(document, Math.Clamp(position, 0, code.Length)));
        return found is null ? null : string.Join('\n', found.Sections.Select(section => section.Text));
    }

    public void Dispose() => _workspace.Dispose();

    // The answer is needed now, on a thread of the kernel's own that has nothing else to do.
    private static T Wait<T>(Task<T> answer) => answer.GetAwaiter().GetResult();

    /// <summary>The cell as a document behind the cells that have run. What has not changed since the last time is compiled already.</summary>
    private Document Open(string code)
    {
        lock (_gate)
        {
            var solution = _workspace.CurrentSolution;
            var projects = new Dictionary<Submission, (ProjectId Project, ProjectId? Previous)>();
            ProjectId? previous = null;
            foreach (var submission in engine.Submissions)
            {
                if (!_projects.TryGetValue(submission, out var known) || known.Previous != previous)
                {
                    (solution, var document) = Add(solution, submission.Source, previous, submission.Compilation);
                    known = (document.ProjectId, previous);
                }

                projects[submission] = known;
                previous = known.Project;
            }

            foreach (var gone in _projects.Values.Select(known => known.Project).Except(projects.Values.Select(known => known.Project)))
            {
                solution = solution.RemoveProject(gone);
            }

            _projects = projects;
            _workspace.TryApplyChanges(solution);
            var (opened, cell) = Add(_workspace.CurrentSolution, code, previous, engine.Compile(ScriptEngine.Parse(string.Empty)));
            return opened.GetDocument(cell)!;
        }
    }

    private static (Solution Solution, DocumentId Document) Add(Solution solution, string code, ProjectId? previous, Compilation like)
    {
        var project = ProjectId.CreateNewId();
        var document = DocumentId.CreateNewId(project);
        var info = ProjectInfo.Create(
            project, VersionStamp.Create(), "cell", $"inspected-{project.Id:N}", LanguageNames.CSharp,
            compilationOptions: like.Options.WithScriptClassName($"Inspected_{project.Id:N}"),
            parseOptions: ScriptEngine.ParseOptions,
            projectReferences: previous is null ? [] : [new ProjectReference(previous)],
            metadataReferences: like.ExternalReferences,
            isSubmission: true,
            hostObjectType: typeof(object));
        return (solution.AddProject(info).AddDocument(document, "cell", SourceText.From(ScriptEngine.AsScript(code))), document);
    }
}

/// <summary>What could stand in place of a part of a cell.</summary>
/// <param name="Start">Where the part starts, in UTF-16 units.</param>
/// <param name="End">Where it ends.</param>
/// <param name="Items">The candidates, sorted.</param>
public sealed record CompletionList(int Start, int End, IReadOnlyList<CompletionItem> Items);

/// <summary>A candidate of a completion.</summary>
/// <param name="Text">What would be written.</param>
/// <param name="Kind">What it is: <c>method</c>, <c>property</c>, <c>class</c>, <c>keyword</c> and so on.</param>
public sealed record CompletionItem(string Text, string Kind);
