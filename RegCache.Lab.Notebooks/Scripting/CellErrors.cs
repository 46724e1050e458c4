using System.Diagnostics;
using System.Globalization;
using Microsoft.CodeAnalysis;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Errors of cells as a reader of the notebook wants them: in the cell's own lines, without the engine's frames.</summary>
internal static class CellErrors
{
    public const string Interrupted = nameof(Interrupted);
    public const string CompilationError = nameof(CompilationError);

    private const int MostFrames = 40;

    /// <summary>How the code of a cell is named in messages and stack traces.</summary>
    public static string FileName(int cell) => $"cell {cell}";

    public static CellError Stopped() => new(Interrupted, "The cell was interrupted.", null, ["Interrupted: the cell was interrupted."]);

    public static CellError Of(IEnumerable<Diagnostic> diagnostics, string source)
    {
        var errors = diagnostics.Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error).ToArray();
        var lines = new List<string>();
        foreach (var error in errors)
        {
            var span = error.Location.GetMappedLineSpan();
            lines.Add($"({span.StartLinePosition.Line + 1},{span.StartLinePosition.Character + 1}): error {error.Id}: {Message(error)}");
            if (error.Location.SourceTree?.FilePath.StartsWith("cell ", StringComparison.Ordinal) == true
                && Line(source, span.StartLinePosition.Line) is { } line)
            {
                lines.Add("    " + line);
            }
            else if (error.Location.SourceTree is { } loaded)
            {
                lines.Add($"    in {loaded.FilePath}");
            }
        }

        var first = errors[0].Location.GetMappedLineSpan().StartLinePosition.Line + 1;
        return new CellError(CompilationError, lines[0], first, lines);
    }

    public static CellError Of(Exception exception)
    {
        // What a cell awaits or a static constructor throws comes wrapped; the cause is what the reader wants.
        while (exception is AggregateException { InnerExceptions.Count: 1 } or System.Reflection.TargetInvocationException
            && exception.InnerException is { } inner)
        {
            exception = inner;
        }

        var name = exception.GetType().FullName ?? exception.GetType().Name;
        var lines = new List<string> { exception is UserException ? exception.Message : $"{name}: {exception.Message}" };
        int? line = null;
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause != exception)
            {
                lines.Add($" ---> {cause.GetType().FullName}: {cause.Message}");
            }

            line = AddFrames(lines, cause, exception is UserException) ?? line;
        }

        return new CellError(exception.GetType().Name, exception.Message, line, lines);
    }

    private static int? AddFrames(List<string> lines, Exception exception, bool cellsOnly)
    {
        int? first = null;
        var shown = 0;
        foreach (var frame in new StackTrace(exception, fNeedFileInfo: true).GetFrames())
        {
            if (shown == MostFrames)
            {
                lines.Add("   ...");
                break;
            }

            var method = frame.GetMethod();
            var type = method?.DeclaringType;
            var before = lines.Count;
            var isCell = frame.GetFileName()?.StartsWith("cell ", StringComparison.Ordinal) == true;
            if (isCell)
            {
                first ??= frame.GetFileLineNumber();
                lines.Add(string.Create(CultureInfo.InvariantCulture, $"   at {frame.GetFileName()}, line {frame.GetFileLineNumber()}"));
            }
            else if (!cellsOnly && type is not null && !IsEngine(type))
            {
                var place = frame.GetFileName() is { } file ? $" in {Path.GetFileName(file)}, line {frame.GetFileLineNumber()}" : string.Empty;
                lines.Add($"   at {type.FullName}.{method!.Name}{place}");
            }

            shown += lines.Count - before;
        }

        return first;
    }

    private static bool IsEngine(Type type) =>
        type.Assembly == typeof(CellErrors).Assembly
        || type.Namespace?.StartsWith("System.Runtime.", StringComparison.Ordinal) == true
        || type.FullName?.StartsWith("Submission_", StringComparison.Ordinal) == true;

    private static string Message(Diagnostic error) => error.GetMessage(CultureInfo.InvariantCulture);

    private static string? Line(string source, int index) => source.Split('\n').ElementAtOrDefault(index)?.TrimEnd('\r');
}

/// <summary>Why a cell failed.</summary>
/// <param name="Name">The kind of error: an exception's type name, <c>CompilationError</c> or <c>Interrupted</c>.</param>
/// <param name="Message">What went wrong.</param>
/// <param name="Line">The line of the cell, from 1; null where it is not known.</param>
/// <param name="Traceback">The lines to show, the cell's lines named in them.</param>
public sealed record CellError(string Name, string Message, int? Line, IReadOnlyList<string> Traceback);

/// <summary>How a cell ended; what it showed went to its <see cref="ICellOutput"/>.</summary>
/// <param name="Error">The error; null where the cell ran to its end.</param>
public sealed record CellResult(CellError? Error)
{
    /// <summary>Whether the cell ran to its end.</summary>
    public bool Succeeded => Error is null;

    /// <summary>Whether the cell was stopped from outside.</summary>
    public bool WasInterrupted => Error?.Name == CellErrors.Interrupted;
}

/// <summary>The code of a cell does not compile.</summary>
internal sealed class CompilationFailedException(CellError error) : Exception(error.Message)
{
    public CellError Error { get; } = error;
}
