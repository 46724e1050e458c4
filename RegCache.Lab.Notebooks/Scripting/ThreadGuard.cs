using System.Runtime.ExceptionServices;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Keeps the process alive when a thread that a cell has started ends with an exception: the cell shows it instead.</summary>
internal static class ThreadGuard
{
    private static int _installed;

    /// <summary>Installs the guard, once a process.</summary>
    public static void Install()
    {
        if (Interlocked.Exchange(ref _installed, 1) == 0)
        {
            ExceptionHandling.SetUnhandledExceptionHandler(Report);
        }
    }

    private static bool Report(Exception exception)
    {
        if (exception is OperationCanceledException && CellRun.Current?.Token.IsCancellationRequested == true)
        {
            return true;
        }

        Console.Error.WriteLine("A thread of the cell ended with an exception:");
        foreach (var line in CellErrors.Of(exception).Traceback)
        {
            Console.Error.WriteLine(line);
        }

        Console.Error.Flush();
        return true;
    }
}
