using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

/// <summary>A tensor's metadata, as the bridge lays it out.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TensorInfo
{
    public int DataType;
    public int DeviceType;
    public int DeviceIndex;
    public int Dimensions;
    public int ElementSize;
    public byte IsContiguous;
    public byte RequiresGrad;
    public byte IsSparse;
    public byte Padding;
    public long Elements;
    public long StorageOffset;
}
