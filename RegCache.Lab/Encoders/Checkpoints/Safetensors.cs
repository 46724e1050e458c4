using System.Buffers;
using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using RegCache.Lab.Reports;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>Reads the header of a safetensors file; the tensors stay where they are in the mapped file.</summary>
internal static class SafetensorsReader
{
    public const int MaxHeaderBytes = 100_000_000;
    private const int LengthBytes = 8;

    // libtorch's own limit.
    private const int MaxDimensions = 64;

    /// <summary>True when the file starts as only safetensors files do: a plausible length, then a JSON object.</summary>
    public static bool Recognises(MappedFile file) =>
        file.Length > LengthBytes
        && file.Span(LengthBytes, 1)[0] == (byte)'{'
        && BinaryPrimitives.ReadUInt64LittleEndian(file.Span(0, LengthBytes)) <= (ulong)(file.Length - LengthBytes);

    public static (List<WeightEntry> Tensors, Dictionary<string, string> Metadata) Read(MappedFile file)
    {
        if (file.Length < LengthBytes)
        {
            throw new UserException($"{file.Path} has only {file.Length} bytes, too few for a safetensors file; copy or download it again.");
        }

        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(file.Span(0, LengthBytes));
        if (headerLength > MaxHeaderBytes)
        {
            throw new UserException(
                $"{file.Path} is not a safetensors file: its header would be {headerLength} bytes, and the format allows {MaxHeaderBytes}.");
        }

        if (headerLength > (ulong)(file.Length - LengthBytes))
        {
            throw new UserException(
                $"{file.Path} is cut short: its header needs {headerLength} bytes and only {file.Length - LengthBytes} follow; copy or download it again.");
        }

        var header = file.Span(LengthBytes, (int)headerLength);
        try
        {
            return new Header(file, LengthBytes + (long)headerLength).Read(header);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Utf8JsonReader reports wrong tokens and invalid UTF-8 as InvalidOperationException.
            throw new UserException($"{file.Path} has a damaged safetensors header: {exception.Message}", exception);
        }
    }

    private sealed class Header(MappedFile file, long dataStart)
    {
        private readonly List<(string Name, long Begin, long End)> _ranges = [];

        public (List<WeightEntry> Tensors, Dictionary<string, string> Metadata) Read(ReadOnlySpan<byte> json)
        {
            var tensors = new List<WeightEntry>();
            var metadata = new Dictionary<string, string>();
            var names = new HashSet<string>();
            var reader = new Utf8JsonReader(json);
            reader.Read();
            Expect(reader, JsonTokenType.StartObject, "the header");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                if (!names.Add(name))
                {
                    throw Damaged($"the name {name} occurs twice");
                }

                reader.Read();
                if (name == "__metadata__")
                {
                    ReadMetadata(ref reader, metadata);
                }
                else
                {
                    tensors.Add(ReadTensor(ref reader, name));
                }
            }

            // Anything but white space after the object is an error that the JSON reader finds.
            reader.Read();
            CheckPacking();
            return (tensors, metadata);
        }

        private void ReadMetadata(ref Utf8JsonReader reader, Dictionary<string, string> metadata)
        {
            Expect(reader, JsonTokenType.StartObject, "__metadata__");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var key = reader.GetString()!;
                reader.Read();
                Expect(reader, JsonTokenType.String, $"__metadata__.{key}");
                if (!metadata.TryAdd(key, reader.GetString()!))
                {
                    throw Damaged($"the metadata key {key} occurs twice");
                }
            }
        }

        private WeightEntry ReadTensor(ref Utf8JsonReader reader, string name)
        {
            ScalarType? type = null;
            long[]? shape = null;
            long[]? offsets = null;
            Expect(reader, JsonTokenType.StartObject, name);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var key = reader.GetString()!;
                reader.Read();
                switch (key)
                {
                    case "dtype" when type is null:
                        Expect(reader, JsonTokenType.String, $"{name}.dtype");
                        var label = reader.GetString()!;
                        type = ScalarTypes.FromSafetensors(label) ?? throw new UserException(
                            $"{file.Path}: tensor {name} has the element type {label}, and only {ScalarTypes.SafetensorsNames} are supported.");
                        break;
                    case "shape" when shape is null:
                        shape = ReadNumbers(ref reader, $"{name}.shape");
                        break;
                    case "data_offsets" when offsets is null:
                        offsets = ReadNumbers(ref reader, $"{name}.data_offsets");
                        break;
                    default:
                        throw Damaged($"tensor {name} has the repeated or unknown key {key}");
                }
            }

            if (type is not { } known || shape is null || offsets is not [var begin, var end])
            {
                throw Damaged($"tensor {name} needs dtype, shape and two data_offsets");
            }

            return Locate(name, known, shape, begin, end);
        }

        private WeightEntry Locate(string name, ScalarType type, long[] shape, long begin, long end)
        {
            var available = file.Length - dataStart;
            if (begin > end || end > available)
            {
                throw new UserException(
                    $"{file.Path}: tensor {name} lies at bytes {begin}..{end} of {available}; the file is cut short or damaged, copy or download it again.");
            }

            // Sizes are limited by the range that holds them, so that their product cannot overflow unnoticed.
            var expected = (Int128)ScalarTypes.Size(type);
            foreach (var size in shape)
            {
                expected = expected > long.MaxValue ? expected : expected * size;
            }

            if (expected != end - begin)
            {
                throw Damaged($"tensor {name} of shape {WeightEntry.Describe(shape)} and type {type} is given {end - begin} bytes");
            }

            _ranges.Add((name, begin, end));
            return WeightEntry.View(name, type, shape, new FileRange(file, dataStart + begin, end - begin));
        }

        private void CheckPacking()
        {
            _ranges.Sort((left, right) => (left.Begin, left.End).CompareTo((right.Begin, right.End)));
            var position = 0L;
            foreach (var (name, begin, end) in _ranges)
            {
                if (begin != position)
                {
                    throw Damaged(begin < position
                        ? $"tensor {name} overlaps the one before it"
                        : $"{begin - position} bytes before tensor {name} belong to no tensor");
                }

                position = end;
            }

            if (dataStart + position != file.Length)
            {
                throw Damaged($"{file.Length - dataStart - position} bytes at the end belong to no tensor");
            }
        }

        private long[] ReadNumbers(ref Utf8JsonReader reader, string what)
        {
            Expect(reader, JsonTokenType.StartArray, what);
            var numbers = new List<long>();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                Expect(reader, JsonTokenType.Number, what);
                if (!reader.TryGetInt64(out var number) || number < 0)
                {
                    throw Damaged($"{what} holds something other than whole numbers from 0 on");
                }

                numbers.Add(number);
                if (numbers.Count > MaxDimensions)
                {
                    throw Damaged($"{what} holds more than {MaxDimensions} numbers");
                }
            }

            return [.. numbers];
        }

        private void Expect(Utf8JsonReader reader, JsonTokenType type, string what)
        {
            if (reader.TokenType != type)
            {
                throw Damaged($"{what} is a {reader.TokenType} where a {type} belongs");
            }
        }

        private UserException Damaged(string why) => new($"{file.Path} has a damaged safetensors header: {why}.");
    }
}

/// <summary>Writes safetensors files.</summary>
public static class SafetensorsWriter
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// Writes named tensors and a string map. The header keeps the given order; the data is laid out by falling
    /// element size, so that every tensor is aligned. The file appears under its name only when it is complete.
    /// </summary>
    /// <exception cref="UserException">Two tensors have one name, or the file cannot be written.</exception>
    public static void Write(string path, IEnumerable<WeightEntry> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var entries = tensors.ToList();
        var twice = entries.GroupBy(entry => entry.Name).FirstOrDefault(group => group.Count() > 1 || group.Key == "__metadata__");
        if (twice is not null)
        {
            throw new UserException($"Cannot write {path}: the tensor name {twice.Key} is used twice or reserved.");
        }

        var layout = entries.OrderByDescending(entry => entry.ElementSize).ToList();
        var begins = new Dictionary<string, long>();
        var position = 0L;
        foreach (var entry in layout)
        {
            begins.Add(entry.Name, position);
            position += entry.ByteCount;
        }

        var header = Header(entries, begins, metadata);
        if (header.Length > SafetensorsReader.MaxHeaderBytes)
        {
            throw new UserException($"Cannot write {path}: {entries.Count} tensors need a header larger than the format allows.");
        }

        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
            stream.Write(length);
            stream.Write(header);
            foreach (var entry in layout)
            {
                entry.WriteTo(stream);
            }
        });
    }

    private static byte[] Header(List<WeightEntry> entries, Dictionary<string, long> begins, IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata)
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            foreach (var entry in entries)
            {
                json.WriteStartObject(entry.Name);
                json.WriteString("dtype", ScalarTypes.SafetensorsName(entry.Type));
                WriteNumbers(json, "shape", entry.Shape);
                WriteNumbers(json, "data_offsets", [begins[entry.Name], begins[entry.Name] + entry.ByteCount]);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        // Spaces bring the data to a multiple of eight bytes.
        var header = new byte[(buffer.WrittenCount + 7) / 8 * 8];
        header.AsSpan().Fill((byte)' ');
        buffer.WrittenSpan.CopyTo(header);
        return header;
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, IEnumerable<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers)
        {
            json.WriteNumberValue(number);
        }

        json.WriteEndArray();
    }
}
