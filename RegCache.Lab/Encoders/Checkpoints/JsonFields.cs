using System.Text.Json;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// The fields of one object of a JSON file, read by name with messages that say where a wrong value stands. A field that
/// is absent or null has its default.
/// </summary>
internal sealed class JsonFields
{
    private const long MaxFileBytes = 64 << 20;

    private readonly string _prefix;
    private readonly Dictionary<string, JsonElement> _fields = [];
    private readonly HashSet<string> _unread = [];

    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    public JsonFields(JsonElement element, string source, string prefix = "")
    {
        Source = source;
        _prefix = prefix;
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new UserException($"{source}: {(prefix.Length == 0 ? "the file" : $"`{prefix.TrimEnd('.')}`")} must be a JSON object, not {Describe(element)}.");
        }

        foreach (var property in element.EnumerateObject())
        {
            _fields[property.Name] = property.Value;
            _unread.Add(property.Name);
        }
    }

    /// <summary>The file, for messages.</summary>
    public string Source { get; }

    /// <summary>Reads a JSON file.</summary>
    /// <exception cref="UserException">It is missing, too large or not JSON.</exception>
    public static JsonElement ReadFile(string path)
    {
        try
        {
            return Parse(SmallFile.Read(path, MaxFileBytes, "a JSON file of this kind"), path);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The file {path} cannot be read");
        }
    }

    /// <summary>Reads JSON text.</summary>
    /// <exception cref="UserException">It is not JSON.</exception>
    public static JsonElement Parse(ReadOnlyMemory<byte> json, string source)
    {
        try
        {
            using var document = JsonDocument.Parse(json.Span.StartsWith(ByteOrderMark) ? json[ByteOrderMark.Length..] : json);
            CheckStrings(document.RootElement);
            return document.RootElement.Clone();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new UserException($"{source} is not valid JSON: {exception.Message.TrimEnd('.')}.", exception);
        }
    }

    /// <summary>A field's value, or null when it is absent or null.</summary>
    public JsonElement? Get(string name)
    {
        _unread.Remove(name);
        return _fields.TryGetValue(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    public JsonFields? Object(string name) => Get(name) is { } value ? new JsonFields(value, Source, $"{_prefix}{name}.") : null;

    public JsonFields RequiredObject(string name) => Object(name) ?? throw Wrong(name, "is missing");

    public int Int(string name, int fallback, int minimum = 1, int maximum = 1 << 24) =>
        Get(name) is not { } value ? fallback
        // Some tools write whole numbers as 12.0.
        : AsNumber(value) is { } number && number == Math.Floor(number) && number >= minimum && number <= maximum ? (int)number
        : throw WrongKind(name, $"a whole number from {minimum} to {maximum}", value);

    public double? Number(string name) =>
        Get(name) is not { } value ? null
        : AsNumber(value) is { } number && double.IsFinite(number) ? number
        : throw WrongKind(name, "a number", value);

    public bool Bool(string name, bool fallback) =>
        Get(name) is not { } value ? fallback
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw WrongKind(name, "true or false", value);

    public string? Text(string name) =>
        Get(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : throw WrongKind(name, "a string", value);

    /// <summary>One of several words, each standing for a value.</summary>
    public T Choice<T>(string name, T fallback, params (string Word, T Value)[] choices) =>
        Text(name) is not { } text ? fallback
        : Array.FindIndex(choices, choice => choice.Word == text) is >= 0 and var index ? choices[index].Value
        : throw Wrong(name, $"must be {string.Join(" or ", choices.Select(choice => $"\"{choice.Word}\""))}, not \"{text}\"");

    /// <summary>An array of numbers.</summary>
    public double[]? Numbers(string name) =>
        Get(name) is not { } value ? null
        : value.ValueKind == JsonValueKind.Array && value.EnumerateArray().Select(AsNumber).ToArray() is var numbers && numbers.All(number => number is not null)
            ? [.. numbers.OfType<double>()]
        : throw WrongKind(name, "an array of numbers", value);

    /// <summary>Refuses fields that were not read and ask for something: those that are neither null nor false.</summary>
    public void RefuseUnread(params string[] harmlessPrefixes)
    {
        var refused = _unread.Order(StringComparer.Ordinal).FirstOrDefault(name =>
            _fields[name].ValueKind is not (JsonValueKind.Null or JsonValueKind.False)
            && !harmlessPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal)));
        if (refused is not null)
        {
            throw Wrong(refused, "is not supported; remove it if the model does not need it");
        }
    }

    public UserException Wrong(string name, string why) => new($"{Source}: `{_prefix}{name}` {why}.");

    private UserException WrongKind(string name, string expected, JsonElement value) => Wrong(name, $"must be {expected}, not {Describe(value)}");

    private static double? AsNumber(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) ? number : null;

    // The parser leaves escapes of broken surrogate pairs for whoever reads the string, as an InvalidOperationException.
    private static void CheckStrings(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                value.GetString();
                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                {
                    CheckStrings(item);
                }

                break;
            case JsonValueKind.Object:
                foreach (var property in value.EnumerateObject())
                {
                    _ = property.Name;
                    CheckStrings(property.Value);
                }

                break;
        }
    }

    private static string Describe(JsonElement value)
    {
        var text = value.GetRawText().ReplaceLineEndings(" ");
        return text.Length > 60 ? text[..60] + "..." : text;
    }
}
