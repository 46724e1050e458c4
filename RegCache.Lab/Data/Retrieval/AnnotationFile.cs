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

    /// <summary>The entries of a list with what messages call them: <c>captions.json: annotations[3]</c>.</summary>
    /// <exception cref="UserException">An entry is null.</exception>
    public static IEnumerable<(string Entry, T Value)> Entries<T>(string list, IReadOnlyList<T> values)
        where T : class =>
        values.Select((value, index) => ($"{list}[{index}]", value ?? throw new UserException($"{list}[{index}] is null: mend it, or copy or download the file again.")));

    /// <summary>Reads the entries of a file that holds one array, one after the other: nothing behind the last one that is asked for is read.</summary>
    /// <param name="path">The file.</param>
    /// <param name="passed">Is told after each entry how many bytes of the file have been read; null: nobody is.</param>
    /// <exception cref="UserException">The file cannot be read, or holds something else.</exception>
    public static IEnumerable<T> ReadArray<T>(string path, Action<long>? passed = null)
        where T : class
    {
        using var file = Guarded(path, "", () => File.OpenRead(path));
        var entries = new ArrayEntries(file);
        if (!Guarded(path, "", entries.Begin))
        {
            throw new UserException($"{path} must hold a JSON array and begins otherwise: copy or download it again.");
        }

        for (var entry = 0; Guarded(path, $"[{entry}]", entries.MoveNext); entry++)
        {
            yield return Guarded(path, $"[{entry}]", () => JsonSerializer.Deserialize<T>(entries.Current.Span, _options)) ?? throw Empty(path, $"[{entry}]");
            passed?.Invoke(file.Position);
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
        catch (JsonException exception) when (exception.InnerException is JsonException || exception.GetType() != typeof(JsonException))
        {
            // The parser's own errors are of a type of its own: the text is no JSON.
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
        var whole = place.StartsWith('[') ? $"{place}.{within}".TrimEnd('.') : string.Join(", ", new[] { place, within }.Where(part => part.Length > 0));
        return whole.Length == 0 ? "" : $": {whole}";
    }

    // The library's own sentences name types of the program.
    private static string Why(JsonException exception) =>
        exception.Message.Split("including:") is [_, var names] ? $"lacks {names.Split(" Path:")[0].Trim(' ', '.')}"
        : exception.Message.Contains("null", StringComparison.Ordinal) ? "has a null where a value must be"
        : $"has a value of the wrong kind{(exception.InnerException is { } inner ? $" ({inner.Message.TrimEnd('.')})" : "")}";

    private static UserException Empty(string path, string place) => new($"{path}: {place} is null instead of an annotation: copy or download it again.");

    /// <summary>The entries of a JSON array in a stream, of any length, one after the other as they stand there.</summary>
    private sealed class ArrayEntries(Stream stream)
    {
        private byte[] _buffer = new byte[1 << 16];
        private int _first;
        private int _end;
        private bool _isLast;
        private JsonReaderState _state;

        /// <summary>The entry's text, valid until the next one is read.</summary>
        public ReadOnlyMemory<byte> Current { get; private set; }

        /// <summary>Reads the beginning of the array.</summary>
        /// <returns>False: the stream holds another value.</returns>
        public bool Begin()
        {
            Fill();
            _first = _buffer.AsSpan(0, _end).StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
            return Read(whole: false) == JsonTokenType.StartArray;
        }

        /// <summary>Reads the next entry.</summary>
        /// <returns>False: the array has ended.</returns>
        public bool MoveNext() => Read(whole: true) != JsonTokenType.EndArray;

        // Reads a token, or a value with everything in it. What the buffer cuts off is read again when there is more of it.
        private JsonTokenType Read(bool whole)
        {
            while (true)
            {
                var reader = new Utf8JsonReader(_buffer.AsSpan(_first, _end - _first), _isLast, _state);
                if (reader.Read())
                {
                    var (token, start) = (reader.TokenType, _first + (int)reader.TokenStartIndex);
                    if (!whole || reader.TrySkip())
                    {
                        _state = reader.CurrentState;
                        _first += (int)reader.BytesConsumed;
                        Current = _buffer.AsMemory(start, _first - start);
                        return token;
                    }
                }

                Fill();
            }
        }

        private void Fill()
        {
            var rest = _buffer.AsSpan(_first, _end - _first);
            var next = rest.Length > _buffer.Length / 2 ? new byte[2 * _buffer.Length] : _buffer;
            rest.CopyTo(next);
            (_buffer, _first, _end) = (next, 0, rest.Length);
            var count = stream.Read(_buffer.AsSpan(_end));
            _end += count;
            _isLast = count == 0;
        }
    }
}
