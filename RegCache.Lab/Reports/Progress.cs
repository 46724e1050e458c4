namespace RegCache.Lab.Reports;

/// <summary>
/// How long work tells what it is doing, without knowing who listens: a terminal, a log file, nobody. Implementations may be
/// called from any thread.
/// </summary>
public interface IWorkProgress
{
    /// <summary>Announces a piece of work. Dispose the result when the work ends, finished or not.</summary>
    /// <param name="title">What is done, a few words.</param>
    /// <param name="total">How many units there are in all.</param>
    /// <param name="unit">What is counted, in the plural: <c>images</c>, <c>plans</c>.</param>
    /// <param name="alreadyDone">Units that an earlier, interrupted run has done; they do not count towards the rate.</param>
    IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0);

    /// <summary>Tells one sentence: a warning, a choice that was made, a file that was written.</summary>
    void Message(string text);
}

/// <summary>One piece of work under way, see <see cref="IWorkProgress.Start"/>. Disposing it ends the work.</summary>
public interface IProgressHandle : IDisposable
{
    /// <summary>Tells how many units are done by now, those of an earlier run included. Cheap enough to call once a batch.</summary>
    void Report(long done);
}

/// <summary>Nobody listens: for tests and for library use without a terminal.</summary>
public sealed class SilentProgress : IWorkProgress, IProgressHandle
{
    private SilentProgress()
    {
    }

    /// <summary>The one instance.</summary>
    public static SilentProgress Instance { get; } = new();

    /// <inheritdoc/>
    public IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0) => this;

    /// <inheritdoc/>
    public void Message(string text)
    {
    }

    /// <inheritdoc/>
    public void Report(long done)
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
