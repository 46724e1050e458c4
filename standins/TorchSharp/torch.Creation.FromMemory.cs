using System.Runtime.InteropServices;
using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static Tensor from_array(Array rawArray, Device? device = null) => from_array(rawArray, null, device);

    public static Tensor from_array(
        Array rawArray, ScalarType? dtype, Device? device = null, bool requires_grad = false, string[]? names = null)
    {
        var shape = Enumerable.Range(0, rawArray.Rank).Select(rawArray.GetLongLength).ToArray();
        var type = ScalarTypes.Of(rawArray.GetType().GetElementType()!);
        var tensor = Shared(rawArray, shape, type);
        if ((dtype is { } wanted && wanted != type) || device is { type: not DeviceType.CPU })
        {
            tensor = tensor.to(dtype ?? type, device ?? CPU, disposeAfter: true);
        }

        return Made(tensor, requires_grad, names);
    }

    public static Tensor as_tensor(Tensor data, ScalarType? dtype = null, Device? device = null) =>
        data.to(dtype ?? data.dtype, device ?? data.device);

    public static Tensor as_tensor(Array data, ScalarType? dtype = null, Device? device = null) => from_array(data, dtype, device);

    /// <summary>A tensor over the array's own memory, which stays pinned until libtorch drops it.</summary>
    private static unsafe Tensor Shared(Array array, long[] shape, ScalarType type)
    {
        var pin = GCHandle.Alloc(array, GCHandleType.Pinned);
        fixed (long* sizes = shape)
        {
            var handle = Native.tsb_from_memory(
                (void*)pin.AddrOfPinnedObject(), sizes, shape.Length, (int)type, &Unpin, GCHandle.ToIntPtr(pin));
            if (handle == 0)
            {
                pin.Free();
                throw Native.Error();
            }

            return new Tensor(handle);
        }
    }

    [UnmanagedCallersOnly]
    private static void Unpin(nint pin) => GCHandle.FromIntPtr(pin).Free();
}
