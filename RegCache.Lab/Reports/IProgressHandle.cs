namespace RegCache.Lab.Reports;

/// <summary>One piece of work under way, see <see cref="IWorkProgress.Start"/>. Disposing it ends the work.</summary>
public interface IProgressHandle : IDisposable
{
    /// <summary>Tells how many units are done by now, those of an earlier run included. Cheap enough to call once a batch.</summary>
    void Report(long done);
}
