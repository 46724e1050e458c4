using System.Text.Json.Nodes;
using RegCache.Lab.Reports.Html;

namespace RegCache.Lab.Kernel.Jupyter;

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
