using System.Text.Json;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Encoders.Text;

/// <summary>
/// Class names and prompt templates for zero-shot classification. A file is a JSON object of string arrays:
/// <c>classnames</c>, <c>templates</c> and, optionally, <c>simple_templates</c>; "{}" in a template stands for the name.
/// </summary>
public sealed record PromptSet
{
    /// <summary>Where a class name goes in a template.</summary>
    public const string Placeholder = "{}";

    /// <summary>The one template that needs no file.</summary>
    public static IReadOnlyList<string> DefaultTemplates { get; } = ["a photo of a {}."];

    /// <summary>The class names in the order of the class indices; empty if the file has none.</summary>
    public IReadOnlyList<string> ClassNames { get; init; } = [];

    /// <summary>The full set of templates.</summary>
    public IReadOnlyList<string> Templates { get; init; } = DefaultTemplates;

    /// <summary>A smaller set of templates; empty if the file has none.</summary>
    public IReadOnlyList<string> SimpleTemplates { get; init; } = [];

    /// <summary>Reads a prompt file.</summary>
    /// <exception cref="UserException">The file cannot be read, or holds something else.</exception>
    public static PromptSet Load(string path)
    {
        var fields = new JsonFields(JsonFields.ReadFile(path), path);
        if (fields.Get("classnames") is null && fields.Get("templates") is null)
        {
            throw new UserException($"{path} is no prompt file: it has neither `classnames` nor `templates`.");
        }

        var templates = Strings(fields, "templates");
        return new PromptSet
        {
            ClassNames = Strings(fields, "classnames"),
            Templates = CheckTemplates(fields, "templates", templates.Count == 0 ? DefaultTemplates : templates),
            SimpleTemplates = CheckTemplates(fields, "simple_templates", Strings(fields, "simple_templates")),
        };
    }

    /// <summary>One prompt per template for a class.</summary>
    public static IEnumerable<string> Prompts(string className, IEnumerable<string> templates)
    {
        ArgumentNullException.ThrowIfNull(templates);
        return templates.Select(template => template.Replace(Placeholder, className, StringComparison.Ordinal));
    }

    private static IReadOnlyList<string> Strings(JsonFields fields, string name)
    {
        if (fields.Get(name) is not { } value)
        {
            return [];
        }

        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String || item.GetString()!.Length == 0))
        {
            throw fields.Wrong(name, "must be an array of strings that are not empty");
        }

        return [.. value.EnumerateArray().Select(item => item.GetString()!)];
    }

    private static IReadOnlyList<string> CheckTemplates(JsonFields fields, string name, IReadOnlyList<string> templates)
    {
        var wrong = templates.FirstOrDefault(template => !template.Contains(Placeholder, StringComparison.Ordinal));
        return wrong is null ? templates : throw fields.Wrong(name, $"holds \"{wrong}\", which has no {Placeholder} for the class name");
    }
}
