using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>A run of bytes that tensors are views of.</summary>
internal abstract unsafe class WeightStorage
{
    public abstract long ByteLength { get; }

    /// <summary>The first byte; valid while this object is alive and its file is open.</summary>
    public abstract byte* Pointer { get; }
}

/// <summary>A range of a mapped file. A legacy file's ranges are located after the tensors are known.</summary>
internal sealed unsafe class MappedStorage(MappedFile file, long offset, long byteLength) : WeightStorage
{
    public long Offset { get; set; } = offset;

    public override long ByteLength => byteLength;

    public override byte* Pointer => file.Pointer(Offset, byteLength);
}

/// <summary>Bytes of the managed heap, pinned for their lifetime.</summary>
internal sealed unsafe class MemoryStorage : WeightStorage
{
    private readonly byte[] _bytes;

    public MemoryStorage(ReadOnlySpan<byte> bytes)
    {
        _bytes = GC.AllocateUninitializedArray<byte>(bytes.Length, pinned: true);
        bytes.CopyTo(_bytes);
    }

    public override long ByteLength => _bytes.Length;

    public override byte* Pointer => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_bytes));
}

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

/// <summary>A whole file mapped read-only into memory.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _start;
    private bool _disposed;

    private MappedFile(string path, long length, MemoryMappedFile file, MemoryMappedViewAccessor view)
    {
        Path = path;
        Length = length;
        _file = file;
        _view = view;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        _start += view.PointerOffset;
    }

    public string Path { get; }

    public long Length { get; }

    public static MappedFile Open(string path)
    {
        FileStream? stream = null;
        MemoryMappedFile? file = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0);
            var length = stream.Length;
            if (length == 0)
            {
                throw new UserException($"{path} is empty; copy or download it again.");
            }

            file = MemoryMappedFile.CreateFromFile(
                stream, mapName: null, capacity: 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
            stream = null;
            var view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            var mapped = new MappedFile(path, length, file, view);
            file = null;
            return mapped;
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The weight file {path} cannot be opened");
        }
        finally
        {
            file?.Dispose();
            stream?.Dispose();
        }
    }

    /// <summary>The address of a byte range, which must lie inside the file.</summary>
    public byte* Pointer(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset));
        }

        return _start + offset;
    }

    /// <summary>A byte range, which must lie inside the file.</summary>
    public ReadOnlySpan<byte> Span(long offset, int length) => new(Pointer(offset, length), length);

    /// <summary>The bytes from an offset on, as many as a span can hold.</summary>
    public ReadOnlySpan<byte> SpanFrom(long offset) => Span(offset, (int)Math.Min(Length - offset, int.MaxValue));

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file.Dispose();
        }
    }
}
