using System.Text;
using System.Text.Json.Nodes;
using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Notebooks.Running;

/// <summary>Keeps what cells show in the form of the notebook format.</summary>
internal sealed class NotebookOutputs : ICellOutput
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, List<JsonObject>> _displays = [];
    private JsonArray _outputs = [];
    private StringBuilder? _stream;
    private int _number;

    /// <summary>Starts the outputs of a cell; what earlier cells showed can still be updated.</summary>
    public JsonArray Begin(int number)
    {
        lock (_gate)
        {
            EndStream();
            _number = number;
            return _outputs = [];
        }
    }

    /// <summary>Completes the outputs of the cell.</summary>
    public void End(CellError? error)
    {
        lock (_gate)
        {
            EndStream();
            if (error is not null)
            {
                _outputs.Add((JsonNode)new JsonObject
                {
                    ["output_type"] = "error",
                    ["ename"] = error.Name,
                    ["evalue"] = error.Message,
                    ["traceback"] = new JsonArray([.. error.Traceback.Select(line => (JsonNode)line)]),
                });
            }
        }
    }

    public void Write(ConsoleChannel channel, string text)
    {
        lock (_gate)
        {
            var name = channel == ConsoleChannel.Out ? "stdout" : "stderr";
            if (_stream is null || NotebookDocument.Text(_outputs[^1]?["name"]) != name)
            {
                EndStream();
                _stream = new StringBuilder();
                _outputs.Add((JsonNode)new JsonObject { ["output_type"] = "stream", ["name"] = name, ["text"] = new JsonArray() });
            }

            _stream.Append(text);
        }
    }

    public void Display(MimeBundle content, string? displayId)
    {
        var output = new JsonObject { ["output_type"] = "display_data", ["data"] = Data(content), ["metadata"] = new JsonObject() };
        Add(output);
        if (displayId is not null)
        {
            lock (_gate)
            {
                if (!_displays.TryGetValue(displayId, out var shown))
                {
                    _displays[displayId] = shown = [];
                }

                shown.Add(output);
            }
        }
    }

    public void Update(MimeBundle content, string displayId)
    {
        lock (_gate)
        {
            foreach (var output in _displays.GetValueOrDefault(displayId) ?? [])
            {
                output["data"] = Data(content);
            }
        }
    }

    public void Result(MimeBundle content) => Add(new JsonObject
    {
        ["output_type"] = "execute_result",
        ["execution_count"] = _number,
        ["data"] = Data(content),
        ["metadata"] = new JsonObject(),
    });

    public string ReadLine(string prompt, bool secret) =>
        throw new UserException("The cell asks for input, and nobody can be asked in a headless run; give the value as a parameter.");

    private static JsonObject Data(MimeBundle content)
    {
        var data = content.ToJson();
        foreach (var (mimeType, value) in data.ToArray())
        {
            if (value is JsonValue text && text.TryGetValue<string>(out var whole) && !mimeType.StartsWith("image/png", StringComparison.Ordinal))
            {
                data[mimeType] = NotebookDocument.Lines(whole);
            }
        }

        return data;
    }

    private void Add(JsonObject output)
    {
        lock (_gate)
        {
            EndStream();
            _outputs.Add((JsonNode)output);
        }
    }

    private void EndStream()
    {
        if (_stream is not null)
        {
            _outputs[^1]!["text"] = NotebookDocument.Lines(_stream.ToString());
            _stream = null;
        }
    }
}
