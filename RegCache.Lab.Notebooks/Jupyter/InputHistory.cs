using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>The cells that were run, for the front end's history.</summary>
internal sealed class InputHistory
{
    private const int MostEntries = 10_000;
    private readonly List<(int Number, string Input, string? Output)> _entries = [];

    public void Add(int number, string input, string? output)
    {
        if (_entries.Count == MostEntries)
        {
            _entries.RemoveAt(0);
        }

        _entries.Add((number, input, output));
    }

    /// <summary>The reply to a history request.</summary>
    public JsonObject Answer(JsonObject request)
    {
        var access = JupyterMessage.Text(request, "hist_access_type") ?? "tail";
        var count = Math.Max(0, JupyterMessage.Number(request, "n", MostEntries));
        IEnumerable<(int Number, string Input, string? Output)> found = _entries;
        switch (access)
        {
            case "range":
                var start = JupyterMessage.Number(request, "start", 0);
                var stop = JupyterMessage.Number(request, "stop", int.MaxValue);
                found = _entries.Where(entry => entry.Number >= start && entry.Number < stop);
                break;
            case "search":
                var pattern = Glob(JupyterMessage.Text(request, "pattern") ?? "*");
                found = _entries.Where(entry => pattern.IsMatch(entry.Input));
                if (JupyterMessage.Flag(request, "unique", otherwise: false))
                {
                    found = found.Reverse().DistinctBy(entry => entry.Input).Reverse();
                }

                found = found.TakeLast(count);
                break;
            default:
                found = _entries.TakeLast(count);
                break;
        }

        var withOutput = JupyterMessage.Flag(request, "output", otherwise: false);
        var history = new JsonArray();
        foreach (var entry in found)
        {
            JsonNode? last = withOutput ? new JsonArray(entry.Input, entry.Output) : JsonValue.Create(entry.Input);
            history.Add((JsonNode)new JsonArray(JsonValue.Create(1), JsonValue.Create(entry.Number), last));
        }

        return new JsonObject { ["status"] = "ok", ["history"] = history };
    }

    private static Regex Glob(string pattern) => new(
        "^" + Regex.Escape(pattern).Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal) + "$",
        RegexOptions.Singleline | RegexOptions.NonBacktracking);
}
