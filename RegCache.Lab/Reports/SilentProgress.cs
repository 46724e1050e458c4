namespace RegCache.Lab.Reports;

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
