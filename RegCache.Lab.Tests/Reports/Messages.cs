using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Reports;

/// <summary>Keeps what work tells.</summary>
internal sealed class Messages : IWorkProgress
{
    public List<string> Texts { get; } = [];

    public IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0) => SilentProgress.Instance;

    public void Message(string text) => Texts.Add(text);
}
