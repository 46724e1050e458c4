using System.ComponentModel;
using System.Runtime.CompilerServices;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>
/// What <see cref="CellRewriter"/> inserts into the code of cells, so that a loop that asks for no token can be stopped and endless
/// recursion is an exception, not the end of the process. Costs one read of a static field while nothing is being interrupted.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class Interruption
{
    private static volatile int _raised;

    /// <summary>At every turn of a loop.</summary>
    /// <exception cref="OperationCanceledException">The cell that the calling code runs for has been interrupted.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check()
    {
        if (_raised > 0)
        {
            ThrowIfInterrupted();
        }
    }

    /// <summary>At the entry of every method.</summary>
    /// <exception cref="OperationCanceledException">The cell that the calling code runs for has been interrupted.</exception>
    /// <exception cref="InsufficientExecutionStackException">The calls are nested too deep.</exception>
    public static void Enter()
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        Check();
    }

#pragma warning disable CS0420 // Interlocked takes a volatile field by reference on purpose.
    internal static void Raise() => Interlocked.Increment(ref _raised);

    internal static void Lower() => Interlocked.Decrement(ref _raised);
#pragma warning restore CS0420

    // Which run the code belongs to is asked only while some run is being interrupted: the answer is slow.
    private static void ThrowIfInterrupted() => CellRun.Current?.Token.ThrowIfCancellationRequested();
}
