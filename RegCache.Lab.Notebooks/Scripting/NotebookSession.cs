using System.Diagnostics;
using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using RegCache.Lab.Notebooks.Formats;
using RegCache.Lab.Notebooks.Pages;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>
/// The state of one notebook: its cells share variables, functions, types and references. One cell runs at a time. Values are shown
/// through <c>Microsoft.DotNet.Interactive.Formatting.Formatter</c>.
/// </summary>
public sealed class NotebookSession : IDisposable
{
    // A comment, a verbatim string, a raw string and an interpolated one without their ends.
    private static readonly string[] OpenAtEnd = ["CS1035", "CS1039", "CS8997", "CS8967"];
    private readonly ScriptReferences _references = new();
    private readonly ScriptEngine _engine;
    private readonly NotebookKernel _kernel;
    private readonly ScriptInspector _inspector;
    private readonly SemaphoreSlim _oneCell = new(1);
    private volatile CellRun? _run;

    /// <summary>Starts a session.</summary>
    /// <param name="folder">The notebook's folder: relative paths of <c>#r</c> and <c>#load</c> start there.</param>
    public NotebookSession(string folder)
    {
        CellInput.Install();
        ThreadGuard.Install();
        DataFrameFormat.Register();
        PlotFormat.Register();
        PlotScript.IsHostsBusiness = true;
        _references.BaseFolder = folder;
        _references.Notice = static text => Console.Error.WriteLine(text);
        _engine = new ScriptEngine(_references);
        _kernel = new NotebookKernel(_references, _engine);
        _inspector = new ScriptInspector(_engine);
    }

    /// <summary>Runs a cell.</summary>
    /// <param name="code">Its text: C#, and magic commands.</param>
    /// <param name="cell">Its number, which error messages name.</param>
    /// <param name="output">Takes what it shows.</param>
    /// <param name="interrupt">Stops it: loops and methods of the notebook at once, waits of its first thread too; native code that goes
    /// on is left to itself after a second.</param>
    public Task<CellResult> RunAsync(string code, int cell, ICellOutput output, CancellationToken interrupt = default) =>
        RunAsync(code, language: null, cell, output, interrupt);

    /// <summary>Runs a cell that may be in another language.</summary>
    /// <param name="code">Its text.</param>
    /// <param name="language">The language that its metadata name; null for C#.</param>
    /// <param name="cell">Its number, which error messages name.</param>
    /// <param name="output">Takes what it shows.</param>
    /// <param name="interrupt">Stops it.</param>
    public async Task<CellResult> RunAsync(string code, string? language, int cell, ICellOutput output, CancellationToken interrupt = default)
    {
        ArgumentNullException.ThrowIfNull(code);
        ArgumentNullException.ThrowIfNull(output);
        await _oneCell.WaitAsync(interrupt);
        using var run = new CellRun(output, interrupt);
        _run = run;
        try
        {
            var source = CellSource.Parse(code.ReplaceLineEndings("\n"), language);
            var clock = Stopwatch.StartNew();
            foreach (var segment in source.Segments)
            {
                if (await RunAsync(segment, cell, run) is { } error)
                {
                    return new CellResult(error);
                }
            }

            run.Streams.Flush();
            if (source.IsTimed)
            {
                var time = string.Create(CultureInfo.InvariantCulture, $"Wall time: {clock.Elapsed.TotalMilliseconds:F2} ms");
                output.Display(new MimeBundle("text/plain", time), null);
            }

            return new CellResult(Error: null);
        }
        catch (CompilationFailedException failure)
        {
            return new CellResult(failure.Error);
        }
        finally
        {
            _run = null;
            _oneCell.Release();
        }
    }

    /// <summary>Hands on what the running cell has printed and what is still held back.</summary>
    internal void Flush() => _run?.Streams.Flush();

    /// <summary>What could stand at a place in a cell.</summary>
    public CompletionList Complete(string code, int position) => _inspector.Complete(code, position);

    /// <summary>What a name in a cell means: its declaration and documentation; null where nothing is known.</summary>
    public string? Inspect(string code, int position) => _inspector.Inspect(code, position);

    /// <summary>Whether a cell is ready to run.</summary>
    public static Completeness IsComplete(string code)
    {
        try
        {
            var parts = CellSource.Parse(code).Segments;
            return parts.SkipLast(1).Any(part => part.Language == CellLanguage.CSharp && IsCompleteCSharp(part.Text) != Completeness.Complete)
                ? Completeness.Invalid
                : parts is [.., { Language: CellLanguage.CSharp, Text: var last }] ? IsCompleteCSharp(last) : Completeness.Complete;
        }
        catch (CompilationFailedException)
        {
            return Completeness.Invalid;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _inspector.Dispose();
        _kernel.Dispose();
        _references.Dispose();
        _oneCell.Dispose();
    }

    private static Completeness IsCompleteCSharp(string code)
    {
        var tree = ScriptEngine.Parse(code);
        var errors = tree.GetDiagnostics().Where(found => found.Severity == DiagnosticSeverity.Error).ToArray();
        if (SyntaxFactory.IsCompleteSubmission(tree))
        {
            return errors.Length == 0 ? Completeness.Complete : Completeness.Invalid;
        }

        // Text can be added only at the end: an error before it stays, but for what is open there and began before.
        var end = code.AsSpan().TrimEnd().Length;
        return errors.Any(error => error.Location.SourceSpan.Start < end - 1 && !OpenAtEnd.Contains(error.Id))
            ? Completeness.Invalid
            : Completeness.Incomplete;
    }

    private async Task<CellError?> RunAsync(CellSegment segment, int cell, CellRun run)
    {
        switch (segment.Language)
        {
            case CellLanguage.Html:
                run.Output.Display(new MimeBundle("text/html", segment.Text.Trim()), null);
                return null;
            case CellLanguage.Markdown:
                run.Output.Display(new MimeBundle("text/markdown", segment.Text.Trim()), null);
                return null;
            case CellLanguage.JavaScript:
                run.Output.Display(new MimeBundle("text/html", $"<script>{segment.Text.Trim()}</script>"), null);
                return null;
            default:
                var command = new RunCell(segment.Text, cell, run);

                // Not with the token: the kernel would let go of the command while the cell is still being stopped.
                await _kernel.SendAsync(command, CancellationToken.None);
                return command.Error;
        }
    }
}

/// <summary>Whether a cell's text is ready to run.</summary>
public enum Completeness
{
    /// <summary>It can be run.</summary>
    Complete,

    /// <summary>More must follow.</summary>
    Incomplete,

    /// <summary>It cannot be run, whatever follows.</summary>
    Invalid,
}
