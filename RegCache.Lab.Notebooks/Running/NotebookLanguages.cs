using System.Text.Json.Nodes;

namespace RegCache.Lab.Notebooks.Running;

/// <summary>
/// Which language each code cell of a notebook is in: what the cell's own metadata say, else the notebook's. Editors keep it in different places.
/// </summary>
internal static class NotebookLanguages
{
    /// <summary>The language of what says nothing.</summary>
    public const string CSharp = "csharp";

    // Names of kernels and editors before that of the language: .net-csharp, regcache-csharp, dotnet-interactive.fsharp.
    private static readonly string[] Prefixes = [".net-", "regcache-", "dotnet-interactive."];

    // What VS Code writes for any cell of .NET Interactive.
    private static readonly string[] NoLanguage = ["polyglot-notebook", "dotnet-interactive"];

    /// <summary>The language of a cell, as the file names it.</summary>
    /// <param name="notebook">The notebook.</param>
    /// <param name="cell">The cell.</param>
    /// <param name="read">What .NET Interactive reads from the cell's metadata.</param>
    public static string Of(JsonObject notebook, JsonObject cell, string? read)
    {
        if (Node(cell, "metadata", "polyglot_notebook") is not null || Node(cell, "metadata", "dotnet_interactive") is not null)
        {
            return Plain(read) ?? CSharp;
        }

        return Plain(Text(cell, "metadata", "vscode", "languageId"))
            ?? Plain(Text(notebook, "metadata", "polyglot_notebook", "kernelInfo", "defaultKernelName"))
            ?? Plain(Text(notebook, "metadata", "kernelspec", "language"))
            ?? Plain(Text(notebook, "metadata", "language_info", "name"))
            ?? Plain(Text(notebook, "metadata", "kernelspec", "name"))
            ?? CSharp;
    }

    /// <summary>The language that a front end names beside a cell that it sends; null where it names none.</summary>
    public static string? OfRequest(JsonObject metadata) =>
        Plain(Text(metadata, "polyglot_notebook", "kernelName")) ?? Plain(Text(metadata, "dotnet_interactive", "language"));

    private static string? Plain(string? name)
    {
        if (string.IsNullOrWhiteSpace(name) || NoLanguage.Contains(name, StringComparer.OrdinalIgnoreCase))
        {
            return null;
        }

        var prefix = Array.Find(Prefixes, known => name.StartsWith(known, StringComparison.OrdinalIgnoreCase));
        return name[(prefix?.Length ?? 0)..];
    }

    private static string? Text(JsonObject json, params ReadOnlySpan<string> path) =>
        Node(json, path) is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static JsonNode? Node(JsonObject json, params ReadOnlySpan<string> path)
    {
        JsonNode? node = json;
        foreach (var name in path)
        {
            node = (node as JsonObject)?[name];
        }

        return node;
    }
}
