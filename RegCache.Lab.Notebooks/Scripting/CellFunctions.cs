using Microsoft.AspNetCore.Html;
using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Formatting;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>What cells call without naming a class: the functions of <see cref="Microsoft.DotNet.Interactive.Kernel"/> of the same names.</summary>
public static class CellFunctions
{
    /// <summary>Shows a value.</summary>
    /// <returns>What was shown, to be updated. That of <c>Kernel.display</c> 1.0.0-beta.26120.1 has another name than what was shown.</returns>
    public static DisplayedValue display(object value, params string[] mimeTypes) => KernelInvocationContext.Current is { } context
        ? context.Display(value, mimeTypes)
        : Microsoft.DotNet.Interactive.Kernel.display(value, mimeTypes);

    /// <summary>A text that is HTML.</summary>
    public static IHtmlContent HTML(string content) => Microsoft.DotNet.Interactive.Kernel.HTML(content);

    /// <summary>Runs a script in the front end.</summary>
    public static void Javascript(string script) => Microsoft.DotNet.Interactive.Kernel.Javascript(script);
}
