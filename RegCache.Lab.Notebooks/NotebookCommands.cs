using NetMQ;
using RegCache.Lab.Notebooks.Formats;
using RegCache.Lab.Notebooks.Jupyter;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Notebooks.Running;
using RegCache.Lab.Notebooks.Scripting;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Notebooks;

/// <summary>What <c>regcache notebook</c> does.</summary>
public static class NotebookCommands
{
    /// <summary>Runs notebooks without a front end, one after the other, each in a state of its own.</summary>
    /// <param name="options">What to run and where the results go.</param>
    /// <param name="output">Takes the progress and the errors.</param>
    /// <param name="cancellation">Stops the run.</param>
    /// <returns>0 where every cell ran, 1 where one failed; the notebooks after it are run all the same.</returns>
    /// <exception cref="UserException">A file is no notebook, a parameter does not exist, or a result cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The run was stopped.</exception>
    public static async Task<int> RunAsync(NotebookRunOptions options, TextWriter output, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(output);
        if (options.Parameters.Count > 0 && options.OutputFolder is null)
        {
            throw new UserException("Parameters change the notebook; name with --out a folder for the changed one.");
        }

        // All are looked at before the first one runs: that may take long.
        var notebooks = options.Files.Select(file => (file, Load(file, options))).ToList();
        var failed = 0;
        foreach (var (file, document) in notebooks)
        {
            failed += await RunAsync(file, document, options, output, cancellation) ? 0 : 1;
        }

        return failed == 0 ? 0 : 1;
    }

    /// <summary>Runs as the kernel of a Jupyter front end until that shuts it down.</summary>
    /// <param name="connectionFile">The file with the addresses and the key, which the front end writes.</param>
    /// <param name="cancellation">Ends the kernel.</param>
    /// <exception cref="UserException">The connection file is not good, or an address cannot be used.</exception>
    public static async Task RunKernelAsync(string connectionFile, CancellationToken cancellation = default)
    {
        await JupyterKernel.RunAsync(ConnectionFile.Load(connectionFile), cancellation);

        // Waits until the last replies are out.
        NetMQConfig.Cleanup(block: true);
    }

    /// <summary>Writes the kernelspec by which Jupyter front ends find the kernel.</summary>
    /// <param name="words">The words of this program that run it as a kernel, those before <c>--connection-file</c>.</param>
    /// <returns>The folder of the kernelspec.</returns>
    /// <exception cref="UserException">Kernels of both names exist already, or the folder cannot be written.</exception>
    public static string Install(string words) => KernelSpec.Install(KernelSpec.OwnLaunch(words));

    private static NotebookDocument Load(string file, NotebookRunOptions options)
    {
        var document = NotebookDocument.Load(file);
        foreach (var (index, cell) in document.Cells.Where(cell => cell.IsCode).Index())
        {
            if (!CellSource.Knows(cell.Language))
            {
                throw new UserException(CellSource.OtherLanguage($"Code cell {index + 1} of {file}", cell.Language));
            }
        }

        NotebookParameters.Apply(document, file, options.Parameters);
        return document;
    }

    private static async Task<bool> RunAsync(
        string file, NotebookDocument document, NotebookRunOptions options, TextWriter output, CancellationToken cancellation)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        var target = Path.Combine(options.OutputFolder ?? folder, Path.GetFileName(file));
        await output.WriteLineAsync(file);
        var runner = new NotebookRunner(folder, output, ending: result =>
        {
            Report(file, result, output);
            if (options.OutputFolder is not null)
            {
                document.Save(target);
            }
        });
        var result = await runner.RunAsync(document, options.CellTimeout, cancellation);
        Report(file, result, output);

        // A failed run is kept for looking at, but never in place of the notebook.
        if (result.Succeeded || options.OutputFolder is not null)
        {
            if (options.Html)
            {
                await WritePageAsync(document, target, output);
            }

            if (options.Pictures)
            {
                await PlotPictures.ReplacePlotsAsync(document, cancellation);
            }

            document.Save(target);
        }

        return result.Succeeded;
    }

    private static void Report(string file, NotebookRunResult result, TextWriter output)
    {
        if (result.Error is not { } error)
        {
            return;
        }

        var line = error.Line is { } number ? $", line {number}" : string.Empty;
        output.WriteLine($"{file}: code cell {result.FailedCell}{line} failed: {error.Message}");
        foreach (var text in error.Traceback.Where(text => text != error.Message))
        {
            output.WriteLine("  " + text);
        }
    }

    private static async Task WritePageAsync(NotebookDocument document, string target, TextWriter output)
    {
        var plotly = PlotlyLibrary.Find();
        if (plotly is null && NotebookPage.HasPlots(document))
        {
            await output.WriteLineAsync(PlotlyLibrary.AbsentMessage);
        }

        var page = NotebookPage.Write(document, Path.GetFileNameWithoutExtension(target), plotly);
        AtomicFile.WriteText(Path.ChangeExtension(target, ".html"), page);
    }
}
