using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

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
