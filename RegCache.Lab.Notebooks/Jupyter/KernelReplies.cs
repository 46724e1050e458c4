using System.Text.Json.Nodes;
using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>The contents of the replies that need no running cell.</summary>
internal static class KernelReplies
{
    public static JsonObject KernelInfo() => new()
    {
        ["status"] = "ok",
        ["protocol_version"] = JupyterMessage.ProtocolVersion,
        ["implementation"] = "regcache",
        ["implementation_version"] = Version(),
        ["language_info"] = new JsonObject
        {
            ["name"] = "C#",
            ["version"] = "14.0",
            ["mimetype"] = "text/x-csharp",
            ["file_extension"] = ".cs",
            ["pygments_lexer"] = "csharp",
            ["codemirror_mode"] = "text/x-csharp",
        },
        ["banner"] = $"RegCache.Lab {Version()}: C# on .NET {Environment.Version}",
        ["help_links"] = new JsonArray(),
        ["supported_features"] = new JsonArray(),
        ["debugger"] = false,
    };

    public static JsonObject Connect(ConnectionFile connection) => new()
    {
        ["status"] = "ok",
        ["shell_port"] = connection.ShellPort,
        ["control_port"] = connection.ControlPort,
        ["iopub_port"] = connection.IoPubPort,
        ["stdin_port"] = connection.StdinPort,
        ["hb_port"] = connection.HeartbeatPort,
    };

    public static JsonObject Complete(NotebookSession session, JsonObject request)
    {
        var (code, position) = Place(request);
        var found = session.Complete(code, position);
        return new JsonObject
        {
            ["status"] = "ok",
            ["matches"] = new JsonArray([.. found.Items.Select(item => (JsonNode)item.Text)]),
            ["cursor_start"] = CodePoints.FromUtf16(code, found.Start),
            ["cursor_end"] = CodePoints.FromUtf16(code, found.End),
            ["metadata"] = new JsonObject
            {
                ["_jupyter_types_experimental"] = new JsonArray([.. found.Items.Select(item => (JsonNode)new JsonObject
                {
                    ["text"] = item.Text,
                    ["type"] = item.Kind,
                })]),
            },
        };
    }

    public static JsonObject Inspect(NotebookSession session, JsonObject request)
    {
        var (code, position) = Place(request);
        var text = session.Inspect(code, position);
        return new JsonObject
        {
            ["status"] = "ok",
            ["found"] = text is not null,
            ["data"] = text is null ? new JsonObject() : new JsonObject { ["text/plain"] = text },
            ["metadata"] = new JsonObject(),
        };
    }

    public static JsonObject IsComplete(JsonObject request)
    {
        var status = NotebookSession.IsComplete(JupyterMessage.Text(request, "code") ?? string.Empty);
        var reply = new JsonObject { ["status"] = status.ToString().ToLowerInvariant() };
        if (status == Completeness.Incomplete)
        {
            reply["indent"] = "    ";
        }

        return reply;
    }

    public static JsonObject Error(string name, string message, IEnumerable<string>? traceback = null) => new()
    {
        ["status"] = "error",
        ["ename"] = name,
        ["evalue"] = message,
        ["traceback"] = new JsonArray([.. (traceback ?? [message]).Select(line => (JsonNode)line)]),
    };

    private static string Version() => typeof(KernelReplies).Assembly.GetName().Version?.ToString(3) ?? "0";

    private static (string Code, int Position) Place(JsonObject request)
    {
        var code = JupyterMessage.Text(request, "code") ?? string.Empty;
        return (code, CodePoints.ToUtf16(code, JupyterMessage.Number(request, "cursor_pos", int.MaxValue)));
    }
}

/// <summary>Positions in text: the protocol counts Unicode code points, .NET counts UTF-16 units.</summary>
internal static class CodePoints
{
    public static int ToUtf16(string text, int codePoints)
    {
        var position = 0;
        while (codePoints-- > 0 && position < text.Length)
        {
            position += char.IsHighSurrogate(text[position]) && position + 1 < text.Length ? 2 : 1;
        }

        return position;
    }

    public static int FromUtf16(string text, int position) =>
        position - text.AsSpan(0, position).ToArray().Count(char.IsHighSurrogate);
}
