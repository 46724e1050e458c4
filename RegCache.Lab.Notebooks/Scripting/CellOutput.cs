using System.Text.Json.Nodes;
using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Formatting;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Takes what a running cell shows. May be called from any thread.</summary>
public interface ICellOutput
{
    /// <summary>Text printed by the cell.</summary>
    void Write(ConsoleChannel stream, string text);

    /// <summary>A value shown while the cell runs.</summary>
    /// <param name="content">The value in one or more formats.</param>
    /// <param name="displayId">A name under which it can be updated; may be null.</param>
    void Display(MimeBundle content, string? displayId);

    /// <summary>A new content for everything that was shown under a name.</summary>
    void Update(MimeBundle content, string displayId);

    /// <summary>The value of the cell's last expression.</summary>
    void Result(MimeBundle content);

    /// <summary>Asks the person at the notebook for a line of text.</summary>
    /// <exception cref="UserException">Nobody can be asked.</exception>
    string ReadLine(string prompt, bool secret);
}

/// <summary>The stream that a cell printed to.</summary>
public enum ConsoleChannel
{
    /// <summary>Standard output.</summary>
    Out,

    /// <summary>Standard error.</summary>
    Error,
}

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
