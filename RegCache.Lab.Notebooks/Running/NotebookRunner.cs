using System.Diagnostics;
using System.Globalization;
using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Notebooks.Running;

/// <summary>Runs all code cells of a notebook in order, without a front end, and keeps their outputs in it.</summary>
/// <param name="folder">The notebook's folder: relative paths of <c>#r</c> and <c>#load</c> start there.</param>
/// <param name="progress">Takes one line a cell; may be null.</param>
/// <param name="ending">Called where code of a cell ends the whole process, with what has happened; may be null.</param>
public sealed class NotebookRunner(string folder, TextWriter? progress = null, Action<NotebookRunResult>? ending = null)
{
    /// <summary>Runs a notebook; stops at the first cell that fails.</summary>
    /// <param name="document">The notebook; the outputs and numbers of its code cells are replaced.</param>
    /// <param name="cellTimeout">How long one cell may run; null for no limit.</param>
    /// <param name="cancellation">Stops the run.</param>
    /// <exception cref="OperationCanceledException">The run was stopped.</exception>
    public async Task<NotebookRunResult> RunAsync(
        NotebookDocument document, TimeSpan? cellTimeout = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(document);
        var cells = document.Cells.Where(cell => cell.IsCode).ToArray();
        foreach (var cell in cells)
        {
            cell.Outputs = [];
            cell.ExecutionCount = null;
        }

        using var session = new NotebookSession(folder);
        var outputs = new NotebookOutputs();
        for (var index = 0; index < cells.Length; index++)
        {
            cancellation.ThrowIfCancellationRequested();
            var cell = cells[index];
            if (string.IsNullOrWhiteSpace(cell.Source))
            {
                continue;
            }

            var number = index + 1;
            progress?.Write($"[{number}/{cells.Length}] {Title(cell)} ... ");
            progress?.Flush();
            var clock = Stopwatch.StartNew();
            cell.Outputs = outputs.Begin(number);
            cell.ExecutionCount = number;
            CellError? error;
            using (new ExitWatch(() => End(session, outputs, number)))
            {
                error = await RunAsync(session, cell, number, outputs, cellTimeout, cancellation);
            }

            outputs.End(error);
            progress?.WriteLine(error is null
                ? string.Create(CultureInfo.InvariantCulture, $"{clock.Elapsed.TotalSeconds:F1} s")
                : "failed");
            if (error is not null)
            {
                return new NotebookRunResult(number, error);
            }
        }

        return new NotebookRunResult(null, null);
    }

    private void End(NotebookSession session, NotebookOutputs outputs, int number)
    {
        session.Flush();
        const string message = "Code that the cell called ended the program; what follows the cell did not run.";
        var error = new CellError("Exit", message, null, [message]);
        outputs.End(error);
        progress?.WriteLine("failed");
        ending?.Invoke(new NotebookRunResult(number, error));
    }

    private static async Task<CellError?> RunAsync(
        NotebookSession session, NotebookCell cell, int number, NotebookOutputs outputs, TimeSpan? cellTimeout,
        CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (cellTimeout is { } time)
        {
            limit.CancelAfter(time);
        }

        var result = await session.RunAsync(cell.Source, cell.Language, number, outputs, limit.Token);
        if (!result.WasInterrupted)
        {
            return result.Error;
        }

        cancellation.ThrowIfCancellationRequested();
        var message = string.Create(CultureInfo.InvariantCulture, $"The cell ran longer than {cellTimeout?.TotalSeconds} s.");
        return new CellError("Timeout", message, null, [message]);
    }

    private static string Title(NotebookCell cell)
    {
        const int longest = 60;
        var line = cell.Source.Split('\n').Select(text => text.Trim()).First(text => text.Length > 0);
        return line.Length <= longest ? line : line[..longest] + "...";
    }
}

/// <summary>Acts where the process ends while a cell runs: libraries that a cell calls may end it.</summary>
internal sealed class ExitWatch : IDisposable
{
    private readonly EventHandler _handler;

    public ExitWatch(Action ending)
    {
        _handler = (_, _) =>
        {
            ending();
            Environment.ExitCode = 1;
        };
        AppDomain.CurrentDomain.ProcessExit += _handler;
    }

    public void Dispose() => AppDomain.CurrentDomain.ProcessExit -= _handler;
}

/// <summary>What <c>notebook run</c> is asked for.</summary>
public sealed record NotebookRunOptions
{
    /// <summary>The notebooks.</summary>
    public required IReadOnlyList<string> Files { get; init; }

    /// <summary>The folder that the notebooks with their outputs go to; null to write them where they are.</summary>
    public string? OutputFolder { get; init; }

    /// <summary>Whether each notebook is also written as one HTML page.</summary>
    public bool Html { get; init; }

    /// <summary>Whether plots are kept as PNG pictures, for pages that run no scripts; the HTML page has them drawn all the same.</summary>
    public bool Pictures { get; init; }

    /// <summary>How long one cell may run; null for no limit.</summary>
    public TimeSpan? CellTimeout { get; init; }

    /// <summary>Parameters of the notebooks, name to value; see <see cref="NotebookParameters"/>.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; init; } = new Dictionary<string, string>();
}

/// <summary>How a notebook's run ended.</summary>
/// <param name="FailedCell">The number of the code cell that failed, from 1; null where all ran.</param>
/// <param name="Error">Its error.</param>
public sealed record NotebookRunResult(int? FailedCell, CellError? Error)
{
    /// <summary>Whether all cells ran to their ends.</summary>
    public bool Succeeded => Error is null;
}
