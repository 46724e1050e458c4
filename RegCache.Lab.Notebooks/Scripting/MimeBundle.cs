using System.Text.Json.Nodes;
using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Formatting;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>One value in one or more formats, as a notebook keeps it: MIME type to text.</summary>
public sealed class MimeBundle
{
    private const string Plain = "text/plain";
    private readonly OrderedDictionary<string, string> _formats = [];

    /// <summary>A bundle of one format.</summary>
    public MimeBundle(string mimeType, string text) => _formats[mimeType] = text;

    private MimeBundle(IEnumerable<FormattedValue> values)
    {
        foreach (var value in values)
        {
            _formats[value.MimeType] = value.Value;
        }
    }

    /// <summary>MIME type to text, the richest first.</summary>
    public IReadOnlyDictionary<string, string> Formats => _formats;

    /// <summary>The formats as the JSON object that notebooks and the messaging protocol use; JSON formats become JSON values.</summary>
    public JsonObject ToJson()
    {
        var json = new JsonObject();
        foreach (var (mimeType, text) in _formats)
        {
            json[mimeType] = mimeType.EndsWith("json", StringComparison.Ordinal) ? JsonNode.Parse(text) : JsonValue.Create(text);
        }

        return json;
    }

    /// <summary>A displayed value; plain text is added where its formatters gave none, for front ends that show nothing else.</summary>
    internal static MimeBundle Of(object? value, IEnumerable<FormattedValue> formatted)
    {
        var bundle = new MimeBundle(formatted);
        if (!bundle._formats.ContainsKey(Plain) && !bundle._formats.Keys.Any(type => type.StartsWith("image/", StringComparison.Ordinal)))
        {
            bundle._formats[Plain] = value is null or Microsoft.AspNetCore.Html.IHtmlContent or XPlot.Plotly.PlotlyChart
                ? value?.GetType().Name ?? "null"
                : FormattedValue.CreateSingleFromObject(value, Plain).Value;
        }

        return bundle;
    }
}
