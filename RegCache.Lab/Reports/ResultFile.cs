using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RegCache.Lab.Reports;

/// <summary>The final result of a run together with its provenance: <c>result.json</c> of a <see cref="RunDirectory"/>.</summary>
public static class ResultFile
{
    /// <summary>Writes <c>{ "provenance": ..., "result": ... }</c>.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void Write<T>(string path, Provenance provenance, T result)
        where T : notnull =>
        AtomicFile.Write(
            path,
            stream => JsonSerializer.Serialize(stream, new Content<T>(provenance, result), ReportJson.Options));

    /// <summary>Reads a file that <see cref="Write"/> wrote.</summary>
    /// <exception cref="UserException">There is no such file, it cannot be read, or it is no result of this kind.</exception>
    public static (Provenance Provenance, T Result) Read<T>(string path)
        where T : notnull
    {
        try
        {
            using var stream = File.OpenRead(path);
            var content = JsonSerializer.Deserialize<Content<T>>(stream, ReportJson.Options)
                ?? throw new JsonException("The file holds null.");
            return (content.Provenance, content.Result);
        }
        catch (JsonException exception)
        {
            throw new UserException($"The file {path} is not a result that this version of the kit can read; make it again.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The result {path} cannot be read");
        }
    }

    private sealed record Content<T>(Provenance Provenance, T Result)
        where T : notnull;
}

/// <summary>How the kit writes its JSON: snake_case names, numbers that read back to the same bits, strict reading.</summary>
public static class ReportJson
{
    /// <summary>The settings of every result, stage and report file.</summary>
    public static JsonSerializerOptions Options { get; } = Create();

    /// <summary>
    /// A value as canonical JSON: properties sorted by name (ordinal), no white space. Equal values give equal bytes, in
    /// whatever order their properties were declared.
    /// </summary>
    internal static byte[] Canonical<T>(T value) => Canonical(JsonSerializer.SerializeToElement(value, Options));

    /// <summary>JSON rewritten canonically.</summary>
    internal static byte[] Canonical(JsonElement element)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            WriteCanonical(writer, element);
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteCanonical(Utf8JsonWriter writer, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var property in element.EnumerateObject().OrderBy(property => property.Name, StringComparer.Ordinal))
                {
                    writer.WritePropertyName(property.Name);
                    WriteCanonical(writer, property.Value);
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in element.EnumerateArray())
                {
                    WriteCanonical(writer, item);
                }

                writer.WriteEndArray();
                break;
            default:
                element.WriteTo(writer);
                break;
        }
    }

    private static JsonSerializerOptions Create()
    {
        var options = new JsonSerializerOptions
        {
            WriteIndented = true,
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
            AllowDuplicateProperties = false,
            // The files are read by people and programs, not put into web pages: keep + and > as they are.
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
        };
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }
}
