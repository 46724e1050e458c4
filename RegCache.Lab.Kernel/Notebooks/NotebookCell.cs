using System.Text.Json.Nodes;

namespace RegCache.Lab.Kernel.Notebooks;

/// <summary>One cell of a notebook; changes go into the notebook's JSON.</summary>
public sealed class NotebookCell
{
    private readonly JsonObject _json;

    internal NotebookCell(JsonObject json) => _json = json;

    /// <summary>Whether the cell holds code; otherwise it holds Markdown or raw text.</summary>
    public bool IsCode => Kind == "code";

    /// <summary>The kind of cell: <c>code</c>, <c>markdown</c> or <c>raw</c>.</summary>
    public string Kind => NotebookDocument.Text(_json["cell_type"]);

    /// <summary>The cell's text.</summary>
    public string Source
    {
        get => NotebookDocument.Text(_json["source"]);
        set => _json["source"] = NotebookDocument.Lines(value);
    }

    /// <summary>The cell's tags.</summary>
    public IReadOnlyList<string> Tags =>
        (_json["metadata"] as JsonObject)?["tags"] is JsonArray tags ? [.. tags.Select(tag => NotebookDocument.Text(tag))] : [];

    /// <summary>What the cell showed, in the notebook format's own form.</summary>
    public JsonArray Outputs
    {
        get => _json["outputs"] as JsonArray ?? [];
        set => _json["outputs"] = value;
    }

    /// <summary>The number of the cell's run; null where it has not run.</summary>
    public int? ExecutionCount
    {
        get => _json["execution_count"] is JsonValue value && value.TryGetValue<int>(out var count) ? count : null;
        set => _json["execution_count"] = value;
    }

    /// <summary>The value of a metadata flag such as <c>jupyter.source_hidden</c>.</summary>
    internal bool Flag(params string[] path)
    {
        var node = _json["metadata"];
        foreach (var name in path)
        {
            node = (node as JsonObject)?[name];
        }

        return node is JsonValue value && value.TryGetValue<bool>(out var flag) && flag;
    }
}
