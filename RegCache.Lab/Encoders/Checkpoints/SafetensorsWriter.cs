using System.Buffers;
using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Encoders.Checkpoints;

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
