using System.Collections;
using System.Runtime.InteropServices;

namespace TorchSharp.Utils;

public sealed unsafe class TensorAccessor<T> : IDisposable, IEnumerable<T>
    where T : unmanaged
{
    private readonly torch.Tensor tensor;
    private readonly bool owned;
    private readonly long[] sizes;
    private readonly long[] strides;
    private readonly bool contiguous;

    internal TensorAccessor(torch.Tensor tensor, bool owned)
    {
        this.tensor = tensor;
        this.owned = owned;
        sizes = tensor.shape;
        strides = tensor.stride();
        contiguous = tensor.is_contiguous();
        Count = tensor.NumberOfElements;
    }

    public long Count { get; }

    public bool IsReadOnly => false;

    private T* First => (T*)tensor.Data();

    public T this[params long[] indices]
    {
        get
        {
            var value = First[Offset(indices)];
            GC.KeepAlive(tensor);
            return value;
        }

        set
        {
            First[Offset(indices)] = value;
            GC.KeepAlive(tensor);
        }
    }

    public static bool operator ==(TensorAccessor<T> left, TensorAccessor<T> right) => left.Equals(right);

    public static bool operator !=(TensorAccessor<T> left, TensorAccessor<T> right) => !left.Equals(right);

    public T[] ToArray()
    {
        var array = new T[checked((int)Count)];
        CopyTo(array.AsSpan());
        return array;
    }

    public Array ToNDArray()
    {
        if (sizes.Length == 0)
        {
            return ToArray();
        }

        var array = Array.CreateInstance(typeof(T), sizes);
        CopyTo(MemoryMarshal.CreateSpan(ref System.Runtime.CompilerServices.Unsafe.As<byte, T>(ref MemoryMarshal.GetArrayDataReference(array)), checked((int)Count)));
        return array;
    }

    public void CopyTo(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyTo(array.AsSpan(), arrayIndex, tensorIndex);

    public void CopyTo(Span<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        RequireInside(tensorIndex);
        var target = array[arrayIndex..];
        var count = (int)Math.Min(target.Length, Count - tensorIndex);
        var first = First;
        if (contiguous)
        {
            new ReadOnlySpan<T>(first + tensorIndex, count).CopyTo(target);
        }
        else
        {
            for (var i = 0; i < count; i++)
            {
                target[i] = first[Offset(tensorIndex + i)];
            }
        }

        GC.KeepAlive(tensor);
    }

    public void CopyFrom(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyFrom(new ReadOnlySpan<T>(array), arrayIndex, tensorIndex);

    public void CopyFrom(ReadOnlySpan<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        RequireInside(tensorIndex);
        var source = array[arrayIndex..];
        var count = (int)Math.Min(source.Length, Count - tensorIndex);
        var first = First;
        if (contiguous)
        {
            source[..count].CopyTo(new Span<T>(first + tensorIndex, count));
        }
        else
        {
            for (var i = 0; i < count; i++)
            {
                first[Offset(tensorIndex + i)] = source[i];
            }
        }

        GC.KeepAlive(tensor);
    }

    public IEnumerator<T> GetEnumerator()
    {
        for (long i = 0; i < Count; i++)
        {
            yield return ReadAt(i);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public override bool Equals(object? obj) =>
        obj is TensorAccessor<T> other && Count == other.Count && this.SequenceEqual(other);

    public override int GetHashCode() => tensor.GetHashCode();

    public void Dispose()
    {
        if (owned)
        {
            tensor.Dispose();
        }
    }

    private T ReadAt(long index)
    {
        var value = First[contiguous ? index : Offset(index)];
        GC.KeepAlive(tensor);
        return value;
    }

    private void RequireInside(long index)
    {
        if ((ulong)index > (ulong)Count)
        {
            throw new ArgumentOutOfRangeException(nameof(index), $"Element {index} is out of range for a tensor of {Count} elements.");
        }
    }

    // One index counts the elements in row-major order; as many as there are dimensions name one element.
    private long Offset(long[] indices)
    {
        if (indices.Length == 1)
        {
            return (ulong)indices[0] < (ulong)Count
                ? contiguous ? indices[0] : Offset(indices[0])
                : throw new IndexOutOfRangeException($"Element {indices[0]} is out of range for a tensor of {Count} elements.");
        }

        if (indices.Length != sizes.Length)
        {
            throw new ArgumentException($"{indices.Length} indices were given for a tensor of {sizes.Length} dimensions.");
        }

        long offset = 0;
        for (var i = 0; i < indices.Length; i++)
        {
            offset += (ulong)indices[i] < (ulong)sizes[i]
                ? indices[i] * strides[i]
                : throw new IndexOutOfRangeException($"Index {indices[i]} is out of range for dimension {i} of size {sizes[i]}.");
        }

        return offset;
    }

    private long Offset(long index)
    {
        long offset = 0;
        for (var i = sizes.Length - 1; i >= 0; i--)
        {
            (index, var place) = Math.DivRem(index, sizes[i]);
            offset += place * strides[i];
        }

        return offset;
    }
}
