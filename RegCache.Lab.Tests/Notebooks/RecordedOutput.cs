using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>What a cell showed.</summary>
internal sealed class RecordedOutput : ICellOutput
{
    private readonly Lock _gate = new();
    private readonly List<(string Kind, string? Id, MimeBundle Content)> _shown = [];
    private string _out = "";
    private string _error = "";

    public string Out => Locked(() => _out);

    public string Error => Locked(() => _error);

    /// <summary>The values shown: <c>display</c>, <c>update</c> or <c>result</c>, the display's name, the content.</summary>
    public IReadOnlyList<(string Kind, string? Id, MimeBundle Content)> Shown => Locked(() => _shown.ToArray());

    /// <summary>The result's plain text.</summary>
    public string? ResultText => Shown.LastOrDefault(shown => shown.Kind == "result").Content?.Formats.GetValueOrDefault("text/plain");

    public string? Answer { get; init; }

    public void Write(ConsoleChannel channel, string text) => Locked(() =>
        channel == ConsoleChannel.Out ? _out += text : _error += text);

    public void Display(MimeBundle content, string? displayId) => Add("display", displayId, content);

    public void Update(MimeBundle content, string displayId) => Add("update", displayId, content);

    public void Result(MimeBundle content) => Add("result", null, content);

    public string ReadLine(string prompt, bool secret) => Answer ?? throw new UserException("Nobody answers.");

    private void Add(string kind, string? id, MimeBundle content) => Locked(() =>
    {
        _shown.Add((kind, id, content));
        return 0;
    });

    private T Locked<T>(Func<T> action)
    {
        lock (_gate)
        {
            return action();
        }
    }
}
