using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>The memory of a contiguous CPU tensor, which must stay undisposed as long as the entry is used.</summary>
internal sealed unsafe class TensorStorage(Tensor tensor) : WeightStorage
{
    public override long ByteLength { get; } = tensor.NumberOfElements * tensor.ElementSize;

    public override byte* Pointer =>
        ByteLength == 0 ? null : (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(FirstBytes()));

    // A span counts bytes in an int, so that of a larger tensor is taken of its first element only.
    private Span<byte> FirstBytes()
    {
        if (ByteLength <= int.MaxValue)
        {
            return tensor.bytes;
        }

        using var first = tensor.reshape(-1).narrow(0, 0, 1);
        return first.bytes;
    }
}
