using System.Runtime.InteropServices;

namespace RegCache.Lab.Cli;

/// <summary>
/// Ctrl-C and SIGTERM: the first cancels the command's token, so that it stops at the next batch. Whoever presses Ctrl-C
/// again, or waits for ten seconds, ends the process at once; no file is left in parts either way.
/// </summary>
internal sealed partial class Interruption : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly Timer _deadline;
    private PosixSignal? _received;

    /// <summary>Listens until it is disposed.</summary>
    public Interruption()
    {
        _deadline = new Timer(_ => EndNow());
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal),
        ];
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>What to tell the user.</summary>
    public string Sentence => _received == PosixSignal.SIGTERM
        ? "Stopped by SIGTERM before the end: run the same command again to go on."
        : "Stopped by Ctrl-C before the end: run the same command again to go on.";

    /// <summary>The exit code that belongs to the signal.</summary>
    public int ExitCode => _received == PosixSignal.SIGTERM ? Cli.ExitCode.Terminated : Cli.ExitCode.Interrupted;

    /// <summary>Whether a command ended with this exception because it was asked to stop.</summary>
    public bool IsCauseOf(Exception exception) =>
        Token.IsCancellationRequested
        && (exception is OperationCanceledException
            || (exception is AggregateException several && several.Flatten().InnerExceptions.All(inner => inner is OperationCanceledException)));

    /// <summary>Stops listening.</summary>
    public void Dispose()
    {
        Array.ForEach(_registrations, registration => registration.Dispose());
        _deadline.Dispose();
        _source.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        if (_received is not null)
        {
            EndNow();
        }

        _received = context.Signal;
        _deadline.Change(Patience, Timeout.InfiniteTimeSpan);
        _source.Cancel();
    }

    private void EndNow()
    {
        Console.Error.WriteLine(Sentence);
        ExitAtOnce(ExitCode);
    }

    // Environment.Exit would run libtorch's destructors under threads that still compute.
    [LibraryImport("libc", EntryPoint = "_exit")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial void ExitAtOnce(int code);
}
