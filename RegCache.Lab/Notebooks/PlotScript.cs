using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Formatting;
using RegCache.Lab.Reports.Html;

namespace RegCache.Lab.Notebooks;

/// <summary>How plotly.js comes into a notebook's page.</summary>
public static class PlotScript
{
    /// <summary>Whether the host of the cells brings plotly.js itself, as the kit's kernel and its headless runner do.</summary>
    public static bool IsHostsBusiness { get; set; }

    /// <summary>Shows plotly.js as an output of the running cell, once for all plots of the page, unless the host brings it.</summary>
    internal static void Show()
    {
        if (IsHostsBusiness || KernelInvocationContext.Current is not { } context)
        {
            return;
        }

        if (PlotlyLibrary.Find() is { } library)
        {
            context.DisplayAs(PlotlyLibrary.ScriptElement(library), HtmlFormatter.MimeType);
        }
        else
        {
            Console.Error.WriteLine(PlotlyLibrary.AbsentMessage);
        }
    }
}
