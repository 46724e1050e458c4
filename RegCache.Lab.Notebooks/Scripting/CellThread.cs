namespace RegCache.Lab.Notebooks.Scripting;

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
