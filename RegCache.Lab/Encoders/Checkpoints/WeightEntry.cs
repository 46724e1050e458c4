using System.Buffers;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// A named tensor of a weight file: a view of bytes that stay where they are (usually in the mapped file) until one of
/// the copying methods is called. Entries of a file must not be used after the <see cref="WeightFile"/> is disposed.
/// </summary>
public sealed partial class WeightEntry
{
    private const int ChunkBytes = 1 << 20;

    // Laid one after the other along the first axis they make the tensor; more than one only after Concatenate.
    private readonly WeightPart[] _parts;
    private readonly long[] _shape;

    internal WeightEntry(string name, ScalarType type, long[] shape, params WeightPart[] parts)
    {
        Name = name;
        Type = type;
        _shape = shape;
        _parts = parts;
        ElementSize = ScalarTypes.Size(type);
        ElementCount = shape.Aggregate(1L, (product, size) => product * size);
    }

    /// <summary>The tensor's name; empty for a tensor inside <see cref="WeightFile.Root"/>.</summary>
    public string Name { get; }

    /// <summary>The element type in the file.</summary>
    public ScalarType Type { get; }

    /// <summary>The sizes; empty for a scalar.</summary>
    public IReadOnlyList<long> Shape => _shape;

    /// <summary>The strides in elements: those of the file, or those of C order for a scalar or a concatenation.</summary>
    public IReadOnlyList<long> Strides =>
        _parts.Length == 1 && _shape.Length == _parts[0].Strides.Length ? _parts[0].Strides : WeightPart.ContiguousStrides(_shape);

    /// <summary>Bytes of one element.</summary>
    public int ElementSize { get; }

    /// <summary>Number of elements.</summary>
    public long ElementCount { get; }

    /// <summary>Number of bytes of a packed copy.</summary>
    public long ByteCount => ElementCount * ElementSize;

    /// <summary>True when the elements lie packed and in C order.</summary>
    public bool IsContiguous => _parts.Length == 1 && _parts[0].IsContiguous;

    /// <summary>An entry that holds a copy of the values.</summary>
    /// <exception cref="ArgumentException">The number of values is not the product of the sizes.</exception>
    public static WeightEntry FromValues<T>(string name, ReadOnlySpan<T> values, params long[] shape)
        where T : unmanaged =>
        FromBytes(name, ElementTypeOf<T>(), MemoryMarshal.AsBytes(values), shape);

    /// <summary>An entry that holds a copy of packed elements given as raw little-endian bytes.</summary>
    /// <exception cref="ArgumentException">The number of bytes is not that of the shape.</exception>
    public static WeightEntry FromBytes(string name, ScalarType type, ReadOnlySpan<byte> bytes, params long[] shape)
    {
        if (shape.Aggregate((long)ScalarTypes.Size(type), (product, size) => product * size) != bytes.Length)
        {
            throw new ArgumentException($"{bytes.Length} bytes do not fill {type} {Describe(shape)}.", nameof(bytes));
        }

        return View(name, type, shape, new MemoryStorage(bytes), 0, WeightPart.ContiguousStrides(shape));
    }

    /// <summary>One tensor made of several that lie one after the other along the first axis; nothing is copied.</summary>
    /// <exception cref="ArgumentException">The entries differ in type or in a later size, or are scalars.</exception>
    public static WeightEntry Concatenate(string name, params WeightEntry[] entries)
    {
        var first = entries[0];
        foreach (var entry in entries)
        {
            if (entry.Type != first.Type || entry._shape.Length == 0 || !entry._shape.AsSpan(1).SequenceEqual(first._shape.AsSpan(1)))
            {
                throw new ArgumentException(
                    $"{entry.Name} ({entry.Type} {Describe(entry._shape)}) does not continue {first.Name} ({first.Type} {Describe(first._shape)}).",
                    nameof(entries));
            }
        }

        long[] shape = [entries.Sum(entry => entry._shape[0]), .. first._shape.AsSpan(1)];
        return new WeightEntry(name, first.Type, shape, [.. entries.SelectMany(entry => entry._parts)]);
    }

    /// <summary>The same tensor under another name.</summary>
    public WeightEntry Rename(string name) => new(name, Type, _shape, _parts);

    /// <summary>The transpose of a matrix; nothing is copied.</summary>
    /// <exception cref="InvalidOperationException">The tensor is not a matrix, or a concatenation.</exception>
    public WeightEntry Transpose()
    {
        if (_shape.Length != 2 || _parts is not [var part])
        {
            throw new InvalidOperationException($"{Name} of shape {Describe(_shape)} cannot be transposed.");
        }

        return View(Name, Type, [_shape[1], _shape[0]], part.Storage, part.Offset, [part.Strides[1], part.Strides[0]]);
    }

    /// <summary>The given rows of the first axis; nothing is copied.</summary>
    public WeightEntry Rows(long start, long count)
    {
        if (_shape.Length == 0 || start < 0 || count < 0 || start > _shape[0] - count)
        {
            throw new ArgumentOutOfRangeException(nameof(start), $"Rows {start}..{start + count} are not in {Name} {Describe(_shape)}.");
        }

        var parts = new List<WeightPart>();
        var passed = 0L;
        foreach (var part in _parts)
        {
            var from = Math.Max(start - passed, 0);
            var to = Math.Min(start + count - passed, part.Shape[0]);
            if (from < to || (count == 0 && parts.Count == 0))
            {
                var rows = Math.Max(to - from, 0);
                parts.Add(part with
                {
                    Offset = part.Offset + (rows == 0 ? 0 : from * part.Strides[0]),
                    Shape = [rows, .. part.Shape.AsSpan(1)],
                });
            }

            passed += part.Shape[0];
        }

        return new WeightEntry(Name, Type, [count, .. _shape.AsSpan(1)], [.. parts]);
    }

    /// <summary>A contiguous tensor under another shape of as many elements; nothing is copied.</summary>
    /// <exception cref="InvalidOperationException">The tensor is not contiguous or the number of elements differs.</exception>
    public WeightEntry Reshape(params long[] shape)
    {
        if (!IsContiguous || shape.Aggregate(1L, (product, size) => product * size) != ElementCount)
        {
            throw new InvalidOperationException($"{Name} of shape {Describe(_shape)} cannot be reshaped to {Describe(shape)}.");
        }

        return View(Name, Type, shape, _parts[0].Storage, _parts[0].Offset, WeightPart.ContiguousStrides(shape));
    }

    /// <summary>Copies all elements, packed in C order, into exactly <see cref="ByteCount"/> bytes.</summary>
    public void CopyTo(Span<byte> destination)
    {
        if (destination.Length != ByteCount)
        {
            throw new ArgumentException($"{Name} needs {ByteCount} bytes, not {destination.Length}.", nameof(destination));
        }

        foreach (var part in _parts)
        {
            var bytes = (int)(part.ElementCount * ElementSize);
            part.CopyTo(destination[..bytes], ElementSize, 0);
            destination = destination[bytes..];
        }
    }

    /// <summary>Writes all elements, packed in C order.</summary>
    public void WriteTo(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(ChunkBytes, Math.Max(ByteCount, 1)));
        try
        {
            var step = Math.Min(buffer.Length, ChunkBytes) / ElementSize;
            foreach (var part in _parts)
            {
                for (var first = 0L; first < part.ElementCount; first += step)
                {
                    var chunk = buffer.AsSpan(0, (int)Math.Min(step, part.ElementCount - first) * ElementSize);
                    part.CopyTo(chunk, ElementSize, first);
                    stream.Write(chunk);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>A packed copy of the elements in their own type.</summary>
    /// <exception cref="InvalidOperationException">The elements are not of type <typeparamref name="T"/>.</exception>
    public T[] ToArray<T>()
        where T : unmanaged
    {
        if (ElementTypeOf<T>() != Type)
        {
            throw new InvalidOperationException($"{Name} holds {Type}, not {typeof(T).Name}.");
        }

        return ToElements<T>();
    }

    /// <summary>A packed copy of the elements converted to single precision.</summary>
    public float[] ToSingles() => Type switch
    {
        ScalarType.Float32 => ToArray<float>(),
        ScalarType.Float64 => Array.ConvertAll(ToArray<double>(), value => (float)value),
        ScalarType.Float16 => Array.ConvertAll(ToArray<Half>(), value => (float)value),
        ScalarType.BFloat16 => Array.ConvertAll(ToElements<ushort>(), bits => BitConverter.UInt32BitsToSingle((uint)bits << 16)),
        ScalarType.Int64 => Array.ConvertAll(ToArray<long>(), value => (float)value),
        ScalarType.Int32 => Array.ConvertAll(ToArray<int>(), value => (float)value),
        ScalarType.Int16 => Array.ConvertAll(ToArray<short>(), value => (float)value),
        ScalarType.Int8 => Array.ConvertAll(ToArray<sbyte>(), value => (float)value),
        ScalarType.Bool => Array.ConvertAll(ToArray<bool>(), value => value ? 1f : 0f),
        _ => Array.ConvertAll(ToArray<byte>(), value => (float)value),
    };

    /// <summary>For example "vision.proj Float32 [768, 512]".</summary>
    public override string ToString() => $"{Name} {Type} {Describe(_shape)}";

    internal static WeightEntry View(string name, ScalarType type, long[] shape, WeightStorage storage, long offset, long[] strides) =>
        new(name, type, shape, shape.Length == 0 ? new WeightPart(storage, offset, [1], [1]) : new WeightPart(storage, offset, shape, strides));

    internal static string Describe(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";

    private T[] ToElements<T>()
        where T : unmanaged
    {
        var elements = new T[ElementCount];
        CopyTo(MemoryMarshal.AsBytes(elements.AsSpan()));
        return elements;
    }

    private static ScalarType ElementTypeOf<T>() => default(T) switch
    {
        float => ScalarType.Float32,
        double => ScalarType.Float64,
        Half => ScalarType.Float16,
        long => ScalarType.Int64,
        int => ScalarType.Int32,
        short => ScalarType.Int16,
        sbyte => ScalarType.Int8,
        byte => ScalarType.Byte,
        bool => ScalarType.Bool,
        _ => throw new NotSupportedException($"Weight files hold no elements of type {typeof(T).Name}."),
    };
}
