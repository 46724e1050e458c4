using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.DotNet.Interactive.Documents;
using Microsoft.DotNet.Interactive.Documents.Jupyter;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Notebooks.Running;

/// <summary>
/// A Jupyter notebook (nbformat 4). What this library does not know of is kept as it was: .NET Interactive reads the cells' languages, but its
/// writer would lose or change parts of the file (docs/notebooks.md).
/// </summary>
public sealed class NotebookDocument
{
    private static readonly KernelInfoCollection Kernels = [new(NotebookLanguages.CSharp), new("html"), new("markdown"), new("javascript")];

    private static readonly JsonSerializerOptions Written = new()
    {
        WriteIndented = true,
        IndentSize = 1,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly JsonObject _json;
    private readonly JsonArray _cells;
    private readonly List<string> _languages;

    private NotebookDocument(JsonObject json, JsonArray cells, List<string> languages)
    {
        _json = json;
        _cells = cells;
        _languages = languages;
    }

    /// <summary>The cells, in order.</summary>
    public IReadOnlyList<NotebookCell> Cells => [.. _cells.Zip(_languages, (cell, language) => new NotebookCell((JsonObject)cell!, language))];

    /// <summary>Reads a notebook.</summary>
    /// <exception cref="UserException">There is no such file, or it is no notebook.</exception>
    public static NotebookDocument Load(string path)
    {
        try
        {
            return Parse(File.ReadAllText(path), path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"The notebook {path} cannot be read: {exception.Message}", exception);
        }
    }

    /// <summary>Reads a notebook from its JSON.</summary>
    /// <param name="text">The JSON.</param>
    /// <param name="name">What to call it in error messages.</param>
    /// <exception cref="UserException">It is no notebook.</exception>
    public static NotebookDocument Parse(string text, string name)
    {
        JsonNode? node;
        try
        {
            node = JsonNode.Parse(text);
        }
        catch (JsonException exception)
        {
            var advice = text.StartsWith("#!", StringComparison.Ordinal) ? "it looks like Polyglot's format .dib; save it as .ipynb" : "save it again in a notebook editor";
            throw new UserException($"{name} is not a notebook: line {exception.LineNumber + 1} is not JSON; {advice}.", exception);
        }

        if (node is not JsonObject json || json["nbformat"] is not JsonValue version || !version.TryGetValue<int>(out var major))
        {
            throw new UserException($"{name} is not a notebook: it has no number nbformat.");
        }

        if (major != 4)
        {
            throw new UserException($"{name} is a notebook of format {major}; convert it with `jupyter nbconvert --to notebook`, format 4 is read.");
        }

        if (json["cells"] is not JsonArray cells)
        {
            throw new UserException($"{name} is not a notebook: it has no list of cells.");
        }

        for (var index = 0; index < cells.Count; index++)
        {
            if (cells[index] is not JsonObject cell || Text(cell["cell_type"]) is not ("code" or "markdown" or "raw")
                || cell["source"] is not (JsonArray or JsonValue))
            {
                throw new UserException($"{name} is not a notebook: its cell {index + 1} has no type or no source.");
            }
        }

        return new NotebookDocument(json, cells, Languages(text, name, json, cells));
    }

    /// <summary>Writes the notebook.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Save(string path) => AtomicFile.WriteText(path, ToJson());

    /// <summary>The notebook as JSON, one space a level as Jupyter writes it.</summary>
    public string ToJson() => _json.ToJsonString(Written) + "\n";

    /// <summary>Inserts a code cell.</summary>
    /// <param name="index">The place it takes, from 0.</param>
    /// <param name="source">Its text.</param>
    /// <param name="tag">Its tag.</param>
    internal void InsertCode(int index, string source, string tag)
    {
        var cell = new JsonObject
        {
            ["cell_type"] = "code",
            ["execution_count"] = null,
            ["metadata"] = new JsonObject { ["tags"] = new JsonArray(tag) },
            ["outputs"] = new JsonArray(),
            ["source"] = Lines(source),
        };
        if (_json["nbformat_minor"] is JsonValue minor && minor.TryGetValue<int>(out var number) && number >= 5)
        {
            cell["id"] = Guid.NewGuid().ToString("N")[..8];
        }

        _cells.Insert(index, cell);
        _languages.Insert(index, NotebookLanguages.CSharp);
    }

    /// <summary>Removes a cell.</summary>
    internal void Remove(int index)
    {
        _cells.RemoveAt(index);
        _languages.RemoveAt(index);
    }

    /// <summary>A text of the format, which may be a string or a list of lines.</summary>
    internal static string Text(JsonNode? node) => node switch
    {
        JsonArray lines => lines.Aggregate(new StringBuilder(), (text, line) => text.Append(Text(line))).ToString(),
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        null => string.Empty,
        _ => node.ToJsonString(),
    };

    private static List<string> Languages(string text, string name, JsonObject json, JsonArray cells)
    {
        try
        {
            var read = Notebook.Parse(text, Kernels).Elements.Select(cell => cell.KernelName).ToList();
            return read.Count == cells.Count
                ? [.. cells.Zip(read, (cell, language) => NotebookLanguages.Of(json, (JsonObject)cell!, language))]
                : throw new UserException($"{name} is not a notebook: only {read.Count} of its {cells.Count} cells can be read.");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException or NullReferenceException)
        {
            throw new UserException($"{name} is not a notebook: {exception.Message}", exception);
        }
    }

    /// <summary>A text as the format's list of lines, each with its line end.</summary>
    internal static JsonArray Lines(string text)
    {
        var lines = new JsonArray();
        for (var start = 0; start < text.Length;)
        {
            var end = text.IndexOf('\n', start);
            end = end < 0 ? text.Length : end + 1;
            lines.Add((JsonNode)text[start..end]);
            start = end;
        }

        return lines;
    }
}

/// <summary>One cell of a notebook; changes go into the notebook's JSON.</summary>
public sealed class NotebookCell
{
    private readonly JsonObject _json;

    internal NotebookCell(JsonObject json, string language)
    {
        _json = json;
        Language = language;
    }

    /// <summary>The language that a code cell is in, as the notebook names it: <c>csharp</c>, <c>html</c>, ...</summary>
    public string Language { get; }

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
