using System.Diagnostics;
using System.Globalization;
using RegCache.Lab.Kernel.Scripting;

namespace RegCache.Lab.Kernel.Notebooks;

/// <summary>Runs all code cells of a notebook in order, without a front end, and keeps their outputs in it.</summary>
/// <param name="folder">The notebook's folder: relative paths of <c>#r</c> and <c>#load</c> start there.</param>
/// <param name="progress">Takes one line a cell; may be null.</param>
public sealed class NotebookRunner(string folder, TextWriter? progress = null)
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
            var error = await RunAsync(session, cell, number, outputs, cellTimeout, cancellation);
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

    private static async Task<CellError?> RunAsync(
        NotebookSession session, NotebookCell cell, int number, NotebookOutputs outputs, TimeSpan? cellTimeout,
        CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (cellTimeout is { } time)
        {
            limit.CancelAfter(time);
        }

        var result = await session.RunAsync(cell.Source, number, outputs, limit.Token);
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
