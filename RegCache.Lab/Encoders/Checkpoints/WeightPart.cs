using System.Runtime.CompilerServices;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>A strided view of a storage; offset and strides count elements. The shape is never empty: scalars are [1].</summary>
internal sealed record WeightPart(WeightStorage Storage, long Offset, long[] Shape, long[] Strides)
{
    public long ElementCount => Shape.Aggregate(1L, (product, size) => product * size);

    public bool IsContiguous
    {
        get
        {
            var expected = 1L;
            for (var axis = Shape.Length - 1; axis >= 0; axis--)
            {
                if (Shape[axis] != 1 && Strides[axis] != expected)
                {
                    return ElementCount == 0;
                }

                expected *= Shape[axis];
            }

            return true;
        }
    }

    public static long[] ContiguousStrides(IReadOnlyList<long> shape)
    {
        var strides = new long[shape.Count];
        for (var (axis, stride) = (shape.Count - 1, 1L); axis >= 0; axis--)
        {
            strides[axis] = stride;
            stride *= Math.Max(shape[axis], 1);
        }

        return strides;
    }

    /// <summary>Copies elements, in C order, from the given one on until the destination is full.</summary>
    public unsafe void CopyTo(Span<byte> destination, int elementSize, long firstElement)
    {
        if (destination.IsEmpty)
        {
            return;
        }

        var source = Storage.Pointer + (Offset * elementSize);
        if (IsContiguous)
        {
            new ReadOnlySpan<byte>(source + (firstElement * elementSize), destination.Length).CopyTo(destination);
        }
        else
        {
            CopyStrided(source, destination, elementSize, firstElement);
        }

        GC.KeepAlive(Storage);
    }

    // Walks the rows of the last axis, resuming inside one when a copy is split into pieces.
    private unsafe void CopyStrided(byte* source, Span<byte> destination, int elementSize, long firstElement)
    {
        var last = Shape.Length - 1;
        var index = new long[Shape.Length];
        var row = 0L;
        for (var (axis, rest) = (last, firstElement); axis >= 0; axis--)
        {
            (rest, index[axis]) = Math.DivRem(rest, Shape[axis]);
            row += axis == last ? 0 : index[axis] * Strides[axis];
        }

        while (!destination.IsEmpty)
        {
            var count = (int)Math.Min(Shape[last] - index[last], destination.Length / elementSize);
            var first = source + ((row + (index[last] * Strides[last])) * elementSize);
            CopyRow(first, Strides[last], destination[..(count * elementSize)], elementSize);
            destination = destination[(count * elementSize)..];
            index[last] = 0;
            for (var axis = last - 1; axis >= 0; axis--)
            {
                row += Strides[axis];
                if (++index[axis] < Shape[axis])
                {
                    break;
                }

                row -= Shape[axis] * Strides[axis];
                index[axis] = 0;
            }
        }
    }

    private static unsafe void CopyRow(byte* source, long stride, Span<byte> destination, int elementSize)
    {
        if (stride == 1)
        {
            new ReadOnlySpan<byte>(source, destination.Length).CopyTo(destination);
            return;
        }

        switch (elementSize)
        {
            case 1: Gather<byte>(source, stride, destination); break;
            case 2: Gather<ushort>(source, stride, destination); break;
            case 4: Gather<uint>(source, stride, destination); break;
            default: Gather<ulong>(source, stride, destination); break;
        }
    }

    // Files give no alignment, hence the unaligned reads.
    private static unsafe void Gather<T>(byte* source, long stride, Span<byte> destination)
        where T : unmanaged
    {
        fixed (byte* target = destination)
        {
            var step = stride * sizeof(T);
            var end = target + destination.Length;
            for (var at = target; at < end; at += sizeof(T), source += step)
            {
                Unsafe.WriteUnaligned(at, Unsafe.ReadUnaligned<T>(source));
            }
        }
    }
}
