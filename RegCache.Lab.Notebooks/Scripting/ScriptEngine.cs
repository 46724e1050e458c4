using System.Reflection;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Emit;
using Microsoft.CodeAnalysis.Text;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>
/// Compiles cells into a chain of script submissions and runs them. A cell that has been run again gives up what it held before, so
/// that working on a notebook for hours does not fill the memory.
/// </summary>
internal sealed class ScriptEngine(ScriptReferences references)
{
    private const int MostHidden = 8;
    /// <summary>How cells are parsed.</summary>
    public static readonly CSharpParseOptions ParseOptions = new(LanguageVersion.Latest, DocumentationMode.Parse, SourceCodeKind.Script);
    private readonly CellAssemblies _assemblies = new();
    private readonly List<Submission> _submissions = [];
    private readonly string _session = Guid.NewGuid().ToString("N");
    private object?[] _instances = new object?[16];
    private int _counter;

    private CSharpCompilationOptions CompilationOptions { get; } = new(
        OutputKind.DynamicallyLinkedLibrary,
        optimizationLevel: OptimizationLevel.Release,
        allowUnsafe: true,
        usings:
        [
            "System", "System.IO", "System.Text", "System.Collections.Generic", "System.Linq", "System.Threading.Tasks",
            "Microsoft.DotNet.Interactive", "Microsoft.DotNet.Interactive.Formatting", typeof(CellFunctions).FullName!,
        ],
        metadataReferenceResolver: references,
        sourceReferenceResolver: new CellSourceResolver(references));

    /// <summary>The cells that later ones can refer to, in their order.</summary>
    public IReadOnlyList<Submission> Submissions => _submissions;

    /// <summary>Parses a cell.</summary>
    public static SyntaxTree Parse(string code, string fileName = "") => ParseAsWritten(CellUsings.Find(code).Code, fileName);

    /// <summary>A cell's text as a script that means the same, every column in its place; magic commands are blank.</summary>
    public static string AsScript(string code) => CellUsings.Find(string.Join('\n', code.Split('\n').Select(line =>
        line.StartsWith("#!", StringComparison.Ordinal) ? new string(' ', line.Length) : line))).Code;

    /// <summary>Parses a cell without giving its using declarations a meaning.</summary>
    public static SyntaxTree ParseAsWritten(string code, string fileName = "") =>
        CSharpSyntaxTree.ParseText(SourceText.From(code, Encoding.UTF8), ParseOptions, fileName);

    /// <summary>A compilation of a cell after the cells that ran so far.</summary>
    public CSharpCompilation Compile(SyntaxTree tree, string name = "inspected") =>
        Compile(tree, name, _submissions.LastOrDefault()?.Compilation);

    /// <summary>Compiles and runs a cell.</summary>
    /// <param name="code">The cell's code.</param>
    /// <param name="cell">The cell's number, for error messages.</param>
    /// <param name="run">The run it belongs to.</param>
    /// <returns>The value of the last expression; null and false where it has none.</returns>
    /// <exception cref="CompilationFailedException">The code does not compile.</exception>
    /// <exception cref="OperationCanceledException">The run was interrupted.</exception>
    public async Task<(bool HasValue, object? Value)> RunAsync(string code, int cell, CellRun run)
    {
        var tree = Parse(code, CellErrors.FileName(cell));
        var root = (CompilationUnitSyntax)await tree.GetRootAsync(run.Token);
        var last = _submissions.LastOrDefault();

        // A cell run again right away replaces what it declared; it cannot refer to its own former self.
        var repeats = last is not null && last.Source == code;
        var previous = repeats ? last!.Previous : last?.Compilation;
        var name = $"cell-{_session}-{++_counter}";
        var compilation = Compile(CellRewriter.Rewrite(tree), name, previous);
        var submission = new Submission(code, compilation, previous, root);
        if (!HasCode(compilation))
        {
            // Directives and usings alone: the compiler makes nothing to run of them.
            Require(compilation.GetDiagnostics(run.Token), code);
            Keep(submission, repeats);
            return (false, null);
        }

        var (main, assembly) = Emit(compilation, name, tree, previous, run.Token);
        if (_submissions.Count + 3 > _instances.Length)
        {
            Array.Resize(ref _instances, _instances.Length * 2);
        }

        var instances = _instances;
        object? value;
        try
        {
            value = await CellThread.RunAsync(() => Entry(assembly, main)(instances), run);
        }
        finally
        {
            submission.Instance = instances.FirstOrDefault(instance => instance?.GetType().Assembly == assembly);
            await DisposeAsync(submission.Instance, CellUsings.Find(code).Names);
        }

        Keep(submission, repeats);
        return (EndsWithValue(compilation), value);
    }

    private static async Task DisposeAsync(object? instance, IReadOnlyList<string> names)
    {
        foreach (var name in names.Reverse())
        {
            switch (instance?.GetType().GetField(name)?.GetValue(instance))
            {
                case IAsyncDisposable disposable:
                    await disposable.DisposeAsync();
                    break;
                case IDisposable disposable:
                    disposable.Dispose();
                    break;
            }
        }
    }

    private CSharpCompilation Compile(SyntaxTree tree, string name, CSharpCompilation? previous)
    {
        var options = CompilationOptions.WithScriptClassName($"Submission_{name}");
        if (previous is null)
        {
            return CSharpCompilation.CreateScriptCompilation(name, tree, references.All, options, null, typeof(object));
        }

        // The usings of a submission hold for those that follow it.
        options = options.WithUsings();
        if (!previous.ExternalReferences.SequenceEqual(references.All))
        {
            return CSharpCompilation.CreateScriptCompilation(name, tree, references.All, options, previous, typeof(object));
        }

        // Made from its predecessor, a compilation shares the work of reading the references: it takes less than half the time.
        return previous.RemoveAllSyntaxTrees()
            .WithAssemblyName(name)
            .WithOptions(options)
            .WithScriptCompilationInfo(previous.ScriptCompilationInfo!.WithPreviousScriptCompilation(previous))
            .AddSyntaxTrees(tree);
    }

    private (IMethodSymbol Main, Assembly Assembly) Emit(
        CSharpCompilation compilation, string name, SyntaxTree original, CSharpCompilation? previous, CancellationToken cancellation)
    {
        using var code = new MemoryStream();
        using var symbols = new MemoryStream();
        var options = new EmitOptions(debugInformationFormat: DebugInformationFormat.PortablePdb);
        var result = compilation.Emit(code, symbols, options: options, cancellationToken: cancellation);
        if (!result.Success)
        {
            // The code as written, so that columns are the reader's.
            Require(Compile(original, name, previous).GetDiagnostics(cancellation), original.ToString());
            Require(result.Diagnostics, original.ToString());
        }

        code.Position = 0;
        symbols.Position = 0;
        return (compilation.GetEntryPoint(cancellation)!, _assemblies.Load(name, code, symbols));
    }

    private static bool HasCode(CSharpCompilation compilation) =>
        compilation.SyntaxTrees.Any(tree => tree.GetRoot() is CompilationUnitSyntax { Members.Count: > 0 });

    private static void Require(IReadOnlyList<Diagnostic> diagnostics, string code)
    {
        if (diagnostics.Any(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error))
        {
            throw new CompilationFailedException(CellErrors.Of(diagnostics, code));
        }
    }

    private static Func<object?[], Task<object?>> Entry(Assembly assembly, IMethodSymbol main) =>
        assembly.GetType(main.ContainingType.MetadataName)!
            .GetMethod(main.MetadataName, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)!
            .CreateDelegate<Func<object?[], Task<object?>>>();

    private static bool EndsWithValue(CSharpCompilation compilation)
    {
        var tree = compilation.SyntaxTrees[^1];
        return tree.GetRoot() is CompilationUnitSyntax { Members: [.., GlobalStatementSyntax last] }
            && last.Statement is ExpressionStatementSyntax { SemicolonToken.IsMissing: true } statement
            && compilation.GetSemanticModel(tree).GetTypeInfo(statement.Expression).Type?.SpecialType != SpecialType.System_Void;
    }

    private void Keep(Submission submission, bool replacesLast)
    {
        var released = false;
        if (replacesLast)
        {
            released = _submissions[^1].Fields.Count > 0;
            _submissions.RemoveAt(_submissions.Count - 1);
        }

        foreach (var earlier in _submissions)
        {
            earlier.Members.ExceptWith(submission.Members);
            released |= ReleaseHidden(earlier, submission);
        }

        if (submission.IsVisible)
        {
            _submissions.Add(submission);
            Compact();
        }
        else
        {
            Forget(submission);
        }

        if (released)
        {
            // Tensors free their native memory when they are finalized; the collector does not know how large that memory is.
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    private bool ReleaseHidden(Submission earlier, Submission later)
    {
        var hidden = earlier.Fields.Where(later.Members.Contains).ToArray();
        if (earlier.Instance is null || hidden.Length == 0)
        {
            return false;
        }

        earlier.Fields.ExceptWith(hidden);
        if (earlier.Members.Count == 0)
        {
            Forget(earlier);
            return true;
        }

        var from = _submissions.IndexOf(earlier);
        foreach (var name in hidden.Where(name => !_submissions.Skip(from).Any(submission => submission.Captured.Contains(name))))
        {
            var field = earlier.Instance.GetType().GetField(name, BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
            if (field is { IsInitOnly: false, FieldType.IsValueType: false })
            {
                field.SetValue(earlier.Instance, null);
            }
        }

        return true;
    }

    /// <summary>Takes what nothing can refer to any more out of the chain: every link costs a fraction of a megabyte.</summary>
    private void Compact()
    {
        var visible = _submissions.Where(submission => submission.IsVisible).ToArray();
        if (_submissions.Count - visible.Length < MostHidden)
        {
            return;
        }

        var moved = new List<CSharpCompilation>();
        var instances = new object?[_instances.Length];
        var slot = 0;
        foreach (var submission in visible)
        {
            var compilation = Compile(submission.Compilation.SyntaxTrees[^1], submission.Compilation.AssemblyName!, moved.LastOrDefault());
            if (Submission.Describe(compilation) != submission.Signature)
            {
                // A variable got its type from a hidden cell: the chain stays as it is.
                return;
            }

            moved.Add(compilation);
            if (HasCode(compilation))
            {
                instances[++slot] = submission.Instance;
            }
        }

        for (var index = 0; index < visible.Length; index++)
        {
            visible[index].Move(moved[index], index == 0 ? null : moved[index - 1]);
        }

        _submissions.RemoveAll(submission => !submission.IsVisible);
        _instances = instances;
    }

    private void Forget(Submission submission)
    {
        var index = submission.Instance is null ? -1 : Array.IndexOf(_instances, submission.Instance);
        if (index >= 0)
        {
            _instances[index] = null;
        }

        submission.Instance = null;
    }
}
