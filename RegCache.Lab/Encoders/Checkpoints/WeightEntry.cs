using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// A named tensor of a weight file. The elements stay where they are, usually in the mapped file, until they are asked for;
/// after the <see cref="WeightFile"/> is disposed they cannot be read any more.
/// </summary>
public sealed class WeightEntry
{
    private const long ChunkBytes = 1 << 26;

    // A CPU tensor of this type and shape, in any strides, in the current dispose scope.
    private readonly Func<Tensor> _read;
    private readonly long[] _shape;

    internal WeightEntry(string name, ScalarType type, long[] shape, Func<Tensor> read)
    {
        Name = name;
        Type = type;
        _shape = shape;
        _read = read;
        ElementSize = ScalarTypes.Size(type);
        ElementCount = shape.Aggregate(1L, (product, size) => product * size);
    }

    /// <summary>The tensor's name.</summary>
    public string Name { get; }

    /// <summary>The element type in the file.</summary>
    public ScalarType Type { get; }

    /// <summary>The sizes; empty for a scalar.</summary>
    public IReadOnlyList<long> Shape => _shape;

    /// <summary>Bytes of one element.</summary>
    public int ElementSize { get; }

    /// <summary>Number of elements.</summary>
    public long ElementCount { get; }

    /// <summary>Number of bytes of a packed copy.</summary>
    public long ByteCount => ElementCount * ElementSize;

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

        var copy = bytes.ToArray();
        return new(name, type, shape, () =>
        {
            var tensor = empty(shape, type);
            copy.CopyTo(BytesOf(tensor));
            return tensor;
        });
    }

    /// <summary>
    /// An entry for a tensor of any device, strides and dispose scope. It shows the tensor's memory, and so later changes of it,
    /// and keeps that memory alive.
    /// </summary>
    /// <exception cref="UserException">The tensor's type is not one that weight files hold.</exception>
    public static WeightEntry FromTensor(string name, Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (!ScalarTypes.IsSupported(tensor.dtype))
        {
            throw new UserException($"{name} is of type {tensor.dtype}, which weight files cannot hold; convert it to Float32 first.");
        }

        var held = tensor.detach().DetachFromDisposeScope();
        return new(name, held.dtype, held.shape, () => held.cpu().alias());
    }

    /// <summary>One tensor made of several that lie one after the other along the first axis.</summary>
    /// <exception cref="ArgumentException">The entries differ in type or in a later size, or are scalars.</exception>
    public static WeightEntry Concatenate(string name, params WeightEntry[] entries)
    {
        var first = entries[0];
        foreach (var entry in entries)
        {
            if (entry.Type != first.Type || entry._shape.Length == 0 || !entry._shape.AsSpan(1).SequenceEqual(first._shape.AsSpan(1)))
            {
                throw new ArgumentException($"{entry} does not continue {first}.", nameof(entries));
            }
        }

        long[] shape = [entries.Sum(entry => entry._shape[0]), .. first._shape.AsSpan(1)];
        return new(name, first.Type, shape, () => cat([.. entries.Select(entry => entry._read())], 0));
    }

    /// <summary>The same tensor under another name.</summary>
    public WeightEntry Rename(string name) => new(name, Type, _shape, _read);

    /// <summary>The transpose of a matrix.</summary>
    /// <exception cref="InvalidOperationException">The tensor is not a matrix.</exception>
    public WeightEntry Transpose() => _shape is [var rows, var columns]
        ? new(Name, Type, [columns, rows], () => _read().t())
        : throw new InvalidOperationException($"{Name} of shape {Describe(_shape)} cannot be transposed.");

    /// <summary>The elements under another shape of as many elements.</summary>
    /// <exception cref="InvalidOperationException">The number of elements differs.</exception>
    public WeightEntry Reshape(params long[] shape) => shape.Aggregate(1L, (product, size) => product * size) == ElementCount
        ? new(Name, Type, shape, () => _read().reshape(shape))
        : throw new InvalidOperationException($"{Name} of shape {Describe(_shape)} cannot be reshaped to {Describe(shape)}.");

    /// <summary>
    /// A CPU tensor of the elements, in their own type or another, packed in C order. It shares the memory of a packed tensor
    /// given to <see cref="FromTensor"/>, and is new otherwise.
    /// </summary>
    public Tensor ToTensor(ScalarType? type = null) => TensorScope.Run(() => _read().to(type ?? Type).contiguous());

    /// <summary>Writes all elements, packed in C order.</summary>
    public void WriteTo(Stream stream)
    {
        using var scope = NewDisposeScope();
        foreach (var chunk in Chunks(ToTensor()))
        {
            stream.Write(BytesOf(chunk));
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

        using var tensor = ToTensor();
        return MemoryMarshal.Cast<byte, T>(BytesOf(tensor)).ToArray();
    }

    /// <summary>A packed copy of the elements converted to single precision.</summary>
    public float[] ToSingles()
    {
        using var tensor = ToTensor(ScalarType.Float32);
        return MemoryMarshal.Cast<byte, float>(BytesOf(tensor)).ToArray();
    }

    /// <summary>For example "vision.proj Float32 [768, 512]".</summary>
    public override string ToString() => $"{Name} {Type} {Describe(_shape)}";

    /// <summary>A view of a range of a file.</summary>
    /// <param name="name">The tensor's name.</param>
    /// <param name="type">Its element type.</param>
    /// <param name="shape">Its sizes.</param>
    /// <param name="range">Where its elements are.</param>
    /// <param name="offset">Elements of the range before the view's first.</param>
    /// <param name="strides">Elements from one index to the next along each axis; null: packed in C order.</param>
    internal static WeightEntry View(string name, ScalarType type, long[] shape, FileRange range, long offset = 0, long[]? strides = null) =>
        new(name, type, shape, () =>
        {
            // What lies between the view's first and last element is read, whether or not the view shows it all.
            var count = strides is null ? shape.Aggregate(1L, (product, size) => product * size)
                : shape.Contains(0) ? 0
                : 1 + shape.Zip(strides, (size, stride) => (size - 1) * stride).Sum();
            var elements = empty(count, type);
            var position = offset * elements.ElementSize;
            foreach (var chunk in Chunks(elements))
            {
                var target = BytesOf(chunk);
                range.Span(position, target.Length).CopyTo(target);
                position += target.Length;
            }

            return strides is null ? elements.view(shape) : elements.as_strided(shape, strides);
        });

    internal static string Describe(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";

    // A span reaches 2 GiB, a tensor further.
    private static IEnumerable<Tensor> Chunks(Tensor packed)
    {
        var flat = packed.view(-1);
        var step = ChunkBytes / packed.ElementSize;
        for (var start = 0L; start < packed.NumberOfElements; start += step)
        {
            yield return flat.narrow(0, start, Math.Min(step, packed.NumberOfElements - start));
        }
    }

    private static Span<byte> BytesOf(Tensor packed) => packed.NumberOfElements == 0 ? [] : packed.bytes;

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
