using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// Reads the JSON files of annotations into records. What a record does not have is passed over while reading, so that a large file takes
/// the memory of what is wanted of it. Whatever is wrong becomes one sentence with the file and the place in it.
/// </summary>
internal static class AnnotationFile
{
    private static readonly UTF8Encoding _strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static readonly JsonSerializerOptions _options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowReadingFromString,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>Reads a file that holds one value.</summary>
    /// <exception cref="UserException">The file cannot be read, or holds something else.</exception>
    public static T Read<T>(string path)
        where T : class =>
        Guarded(path, "", () =>
        {
            using var file = File.OpenRead(path);
            return JsonSerializer.Deserialize<T>(file, _options);
        }) ?? throw Empty(path, "the file");

    /// <summary>Reads the entries of a file that holds one array, one after the other: nothing behind the last one that is asked for is read.</summary>
    /// <exception cref="UserException">The file cannot be read, or holds something else.</exception>
    public static IEnumerable<T> ReadArray<T>(string path)
        where T : class
    {
        using var file = Guarded(path, "", () => File.OpenRead(path));
        using var entries = JsonSerializer.DeserializeAsyncEnumerable<T>(file, _options).ToBlockingEnumerable().GetEnumerator();
        for (var entry = 0; Guarded(path, $"[{entry}]", entries.MoveNext); entry++)
        {
            yield return entries.Current ?? throw Empty(path, $"[{entry}]");
        }
    }

    /// <summary>Reads a file that holds a value a line (JSON Lines); empty lines are passed over.</summary>
    /// <returns>The number of each line, from 1, and its value.</returns>
    /// <exception cref="UserException">The file cannot be read, or holds something else.</exception>
    public static IEnumerable<(int Line, T Value)> ReadLines<T>(string path)
        where T : class
    {
        foreach (var (line, text) in ReadText(path))
        {
            yield return (line, Guarded(path, $"line {line}", () => JsonSerializer.Deserialize<T>(text, _options)) ?? throw Empty(path, $"line {line}"));
        }
    }

    /// <summary>Reads the lines of a text; empty ones are passed over.</summary>
    /// <returns>The number of each line, from 1, and the line.</returns>
    /// <exception cref="UserException">The file cannot be read, or is not UTF-8.</exception>
    public static IEnumerable<(int Line, string Text)> ReadText(string path)
    {
        using var text = Guarded(path, "", () => new StreamReader(path, _strictUtf8));
        for (var line = 1; Guarded(path, $"line {line}", text.ReadLine) is { } content; line++)
        {
            if (!string.IsNullOrWhiteSpace(content))
            {
                yield return (line, content);
            }
        }
    }

    private static T Guarded<T>(string path, string place, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (exception is DecoderFallbackException || exception.GetBaseException() is DecoderFallbackException)
        {
            throw new UserException($"{path}{At(place, exception as JsonException)} is not UTF-8: convert the file.", exception);
        }
        catch (JsonException exception) when (exception.InnerException is JsonException)
        {
            var where = place.Length > 0 ? place : $"line {exception.LineNumber + 1}, byte {exception.BytePositionInLine}";
            throw new UserException($"{path} is no valid JSON at {where}, or is cut off there: copy or download it again.", exception);
        }
        catch (JsonException exception)
        {
            throw new UserException($"{path}{At(place, exception)} {Why(exception)}: mend it, or copy or download the file again.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The file {path} cannot be read");
        }
    }

    // The path of a value that is read alone begins at itself: "$.image".
    private static string At(string place, JsonException? exception)
    {
        var within = exception?.Path?.TrimStart('$').TrimStart('.') ?? "";
        var isEntry = place.StartsWith('[');
        string[] parts = isEntry && within.StartsWith('[') ? [within] : isEntry ? [$"{place}.{within}".TrimEnd('.')] : [place, within];
        var whole = string.Join(", ", parts.Where(part => part.Length > 0));
        return whole.Length == 0 ? "" : $": {whole}";
    }

    // The library's own sentences name types of the program.
    private static string Why(JsonException exception) =>
        exception.Message.Split("including:") is [_, var names] ? $"lacks {names.Split(" Path:")[0].Trim(' ', '.')}"
        : exception.Message.Contains("null", StringComparison.Ordinal) ? "has a null where a value must be"
        : $"has a value of the wrong kind{(exception.InnerException is { } inner ? $" ({inner.Message.TrimEnd('.')})" : "")}";

    private static UserException Empty(string path, string place) => new($"{path}: {place} is null instead of an annotation: copy or download it again.");
}
