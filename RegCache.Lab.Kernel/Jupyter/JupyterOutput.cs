using System.Text.Json.Nodes;
using RegCache.Lab.Reports.Html;
using RegCache.Lab.Kernel.Scripting;

namespace RegCache.Lab.Kernel.Jupyter;

/// <summary>Sends what a cell shows to the front ends, as answers to the request that runs it.</summary>
/// <param name="publish">Sends a message of a type and content on the output channel.</param>
/// <param name="ask">Asks the person; null where the request does not allow it.</param>
/// <param name="plotly">Brings plotly.js.</param>
/// <param name="code">The cell's code.</param>
/// <param name="number">The number of the run.</param>
internal sealed class JupyterOutput(
    Action<string, JsonObject> publish, Func<string, bool, string>? ask, PlotlyCarrier plotly, string code, int number) : ICellOutput
{
    public void Write(ConsoleChannel channel, string text) =>
        publish("stream", new JsonObject { ["name"] = channel == ConsoleChannel.Out ? "stdout" : "stderr", ["text"] = text });

    public void Display(MimeBundle content, string? displayId)
    {
        BringLibrary(content);
        publish("display_data", Shown(content, displayId));
    }

    public void Update(MimeBundle content, string displayId)
    {
        BringLibrary(content);
        publish("update_display_data", Shown(content, displayId));
    }

    public void Result(MimeBundle content)
    {
        BringLibrary(content);
        publish("execute_result", new JsonObject
        {
            ["execution_count"] = number,
            ["data"] = content.ToJson(),
            ["metadata"] = new JsonObject(),
        });
    }

    public string ReadLine(string prompt, bool secret) => ask is null
        ? throw new UserException("The cell asks for input, which this front end does not allow here.")
        : ask(prompt, secret);

    private static JsonObject Shown(MimeBundle content, string? displayId) => new()
    {
        ["data"] = content.ToJson(),
        ["metadata"] = new JsonObject(),
        ["transient"] = displayId is null ? new JsonObject() : new JsonObject { ["display_id"] = displayId },
    };

    private void BringLibrary(MimeBundle content)
    {
        if (content.Formats.TryGetValue("text/html", out var html)
            && html.Contains(PlotFormat.CssClass, StringComparison.Ordinal)
            && plotly.Before(code, number, text => Write(ConsoleChannel.Error, text)) is { } library)
        {
            publish("display_data", new JsonObject { ["data"] = library, ["metadata"] = new JsonObject(), ["transient"] = new JsonObject() });
        }
    }
}
