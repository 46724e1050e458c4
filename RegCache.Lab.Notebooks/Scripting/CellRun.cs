using System.Runtime.ExceptionServices;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>One run of one cell: where its output goes and whether it has been asked to stop. Follows the code across awaits and threads.</summary>
internal sealed class CellRun : IDisposable
{
    private static readonly AsyncLocal<CellRun?> Ambient = new();
    private readonly CancellationTokenSource _stop;
    private readonly Lock _gate = new();
    private Thread? _thread;
    private bool _raised;
    private bool _ended;

    public CellRun(ICellOutput output, CancellationToken interrupt)
    {
        Output = output;
        Streams = new CellStreams(output);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(interrupt);
        Token = _stop.Token;
        Token.UnsafeRegister(static run => ((CellRun)run!).Interrupt(), this);
    }

    /// <summary>The run that the calling code belongs to; null outside cells.</summary>
    public static CellRun? Current
    {
        get => Ambient.Value;
        set => Ambient.Value = value;
    }

    public ICellOutput Output { get; }

    public CellStreams Streams { get; }

    public CancellationToken Token { get; }

    /// <summary>The thread that the cell's code starts on, so that an interruption can wake it from a wait.</summary>
    public void Attach(Thread thread)
    {
        lock (_gate)
        {
            _thread = thread;
            if (_raised)
            {
                thread.Interrupt();
            }
        }
    }

    /// <summary>The cell's code has come to its end, also where nobody waits for it any more.</summary>
    public void End()
    {
        lock (_gate)
        {
            _ended = true;
            _thread = null;
            if (_raised)
            {
                _raised = false;
                Interruption.Lower();
            }
        }
    }

    public void Dispose()
    {
        Streams.Dispose();
        _stop.Dispose();
    }

    private void Interrupt()
    {
        lock (_gate)
        {
            if (!_ended && !_raised)
            {
                _raised = true;
                Interruption.Raise();
                _thread?.Interrupt();
            }
        }
    }
}

/// <summary>Runs the code of a cell so that it can be stopped.</summary>
internal static class CellThread
{
    private const int StackSize = 16 << 20;
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    /// <summary>Starts a cell and waits for its end.</summary>
    /// <exception cref="OperationCanceledException">The run was interrupted.</exception>
    public static Task<object?> RunAsync(Func<Task<object?>> cell, CellRun run)
    {
        var ended = new TaskCompletionSource<object?>(TaskCreationOptions.RunContinuationsAsynchronously);

        // A thread of its own: an interruption can wake it from any wait without touching the thread pool.
        var thread = new Thread(
            () =>
            {
                try
                {
                    _ = CompleteAsync(cell(), ended, run);
                }
                catch (Exception exception)
                {
                    run.End();
                    ended.TrySetException(exception);
                }
            },
            StackSize)
        {
            IsBackground = true,
            Name = "cell",
        };
        thread.Start();
        run.Attach(thread);
        return UnlessAbandonedAsync(ended.Task, run.Token);
    }

    private static async Task CompleteAsync(Task<object?> code, TaskCompletionSource<object?> ended, CellRun run)
    {
        try
        {
            var value = await code.ConfigureAwait(false);
            run.End();
            ended.TrySetResult(value);
        }
        catch (Exception exception)
        {
            run.End();
            ended.TrySetException(exception);
        }
    }

    /// <summary>Waits for a cell; not for one that was interrupted and is deep in native code: that ends at its next check.</summary>
    private static async Task<object?> UnlessAbandonedAsync(Task<object?> cell, CancellationToken interrupt)
    {
        var interrupted = new TaskCompletionSource();
        await using var registration = interrupt.Register(() => interrupted.TrySetResult());
        if (await Task.WhenAny(cell, interrupted.Task) != cell)
        {
            await Task.WhenAny(cell, Task.Delay(Grace, CancellationToken.None));
        }

        if (interrupt.IsCancellationRequested && !cell.IsCompletedSuccessfully)
        {
            _ = cell.ContinueWith(static task => task.Exception, TaskScheduler.Default);
            throw new OperationCanceledException(interrupt);
        }

        return await cell;
    }
}

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
