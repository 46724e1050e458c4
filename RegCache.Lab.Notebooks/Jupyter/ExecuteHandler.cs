using System.Text.Json.Nodes;
using RegCache.Lab.Notebooks.Running;
using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>Runs the cells that front ends send.</summary>
/// <param name="session">The notebook's state.</param>
/// <param name="publish">Sends an answer to a request on the output channel.</param>
/// <param name="ask">Asks the person whose front end sent a request.</param>
internal sealed class ExecuteHandler(
    NotebookSession session, Action<JupyterMessage, string, JsonObject> publish, Func<JupyterMessage, string, bool, string> ask)
{
    private readonly PlotlyCarrier _plotly = new();
    private int _count;

    public InputHistory History { get; } = new();

    /// <summary>Runs a cell.</summary>
    /// <returns>The reply; its status is <c>error</c> where the cell failed.</returns>
    public async Task<JsonObject> RunAsync(JupyterMessage request, CancellationToken interrupt)
    {
        if (JupyterMessage.Text(request.Content, "code") is not { } code)
        {
            return KernelReplies.Error("BadRequest", "The execute_request has no text `code`.");
        }

        var isSilent = JupyterMessage.Flag(request.Content, "silent", otherwise: false);
        var isStored = !isSilent && JupyterMessage.Flag(request.Content, "store_history", otherwise: true);
        if (isStored)
        {
            _count++;
        }

        if (!isSilent)
        {
            publish(request, "execute_input", new JsonObject { ["code"] = code, ["execution_count"] = _count });
        }

        var output = new ObservedOutput(Output(request, code, isSilent));
        var result = await session.RunAsync(code, NotebookLanguages.OfRequest(request.Metadata), _count, output, interrupt);
        if (isStored)
        {
            History.Add(_count, code, output.ResultText);
        }

        if (result.Error is { } error)
        {
            var failure = KernelReplies.Error(error.Name, error.Message, error.Traceback);
            if (!isSilent)
            {
                var shown = (JsonObject)failure.DeepClone();
                shown.Remove("status");
                publish(request, "error", shown);
            }

            failure["execution_count"] = _count;
            failure["user_expressions"] = new JsonObject();
            failure["payload"] = new JsonArray();
            return failure;
        }

        return new JsonObject
        {
            ["status"] = "ok",
            ["execution_count"] = _count,
            ["user_expressions"] = await EvaluateAsync(request, interrupt),
            ["payload"] = new JsonArray(),
        };
    }

    /// <summary>The reply to a request that is given up because one before it failed.</summary>
    public JsonObject Aborted() => new() { ["status"] = "aborted", ["execution_count"] = _count };

    private JupyterOutput Output(JupyterMessage request, string code, bool isSilent)
    {
        var mayAsk = JupyterMessage.Flag(request.Content, "allow_stdin", otherwise: false);
        return new JupyterOutput(
            isSilent ? static (_, _) => { } : (type, content) => publish(request, type, content),
            mayAsk ? (prompt, secret) => ask(request, prompt, secret) : null,
            _plotly,
            code,
            _count);
    }

    private async Task<JsonObject> EvaluateAsync(JupyterMessage request, CancellationToken interrupt)
    {
        var values = new JsonObject();
        foreach (var (name, expression) in request.Content["user_expressions"] as JsonObject ?? [])
        {
            var code = expression is JsonValue value && value.TryGetValue<string>(out var text) ? text : string.Empty;
            var output = new ObservedOutput(Output(request, code, isSilent: true));
            var result = await session.RunAsync(code, _count, output, interrupt);
            values[name] = result.Error is { } error
                ? KernelReplies.Error(error.Name, error.Message, error.Traceback)
                : new JsonObject
                {
                    ["status"] = "ok",
                    ["data"] = output.Content?.ToJson() ?? [],
                    ["metadata"] = new JsonObject(),
                };
        }

        return values;
    }

    /// <summary>Passes outputs on and keeps the result.</summary>
    private sealed class ObservedOutput(JupyterOutput inner) : ICellOutput
    {
        public MimeBundle? Content { get; private set; }

        public string? ResultText => Content?.Formats.GetValueOrDefault("text/plain");

        public void Write(ConsoleChannel channel, string text) => inner.Write(channel, text);

        public void Display(MimeBundle content, string? displayId) => inner.Display(content, displayId);

        public void Update(MimeBundle content, string displayId) => inner.Update(content, displayId);

        public void Result(MimeBundle content)
        {
            Content = content;
            inner.Result(content);
        }

        public string ReadLine(string prompt, bool secret) => inner.ReadLine(prompt, secret);
    }
}
