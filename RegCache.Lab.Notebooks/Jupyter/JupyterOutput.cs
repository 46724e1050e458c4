using System.Text.Json.Nodes;
using RegCache.Lab.Notebooks.Formats;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Notebooks.Jupyter;

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

/// <summary>
/// Sees to it that a notebook's page carries plotly.js once: the first cell that shows a plot brings it, and brings it again whenever
/// that cell is run again, because its former output is gone then.
/// </summary>
internal sealed class PlotlyCarrier
{
    private readonly Lock _gate = new();
    private string? _carrier;
    private int _sentIn;

    /// <summary>The library as an output to show before a plot; null where it needs none.</summary>
    /// <param name="cell">The code of the cell that shows the plot.</param>
    /// <param name="execution">The number of the cell's run.</param>
    /// <param name="absent">Told once that there is no library.</param>
    public JsonObject? Before(string cell, int execution, Action<string> absent)
    {
        lock (_gate)
        {
            if (_sentIn == execution || (_carrier is not null && _carrier != cell))
            {
                return null;
            }

            _carrier = cell;
            _sentIn = execution;
        }

        if (PlotlyLibrary.Find() is { } file)
        {
            return new JsonObject { ["text/html"] = PlotlyLibrary.ScriptElement(file), ["text/plain"] = "plotly.js" };
        }

        absent(PlotlyLibrary.AbsentMessage + Environment.NewLine);
        return null;
    }
}
