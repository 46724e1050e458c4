using System.Runtime.InteropServices;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>`rc_norm` of Native/api.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeNorm
{
    public float* Gain, Offset;
    public float Epsilon;
}

/// <summary>`rc_stream` of Native/api.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeStream
{
    public void* From;
    public void* To;
    public int Narrow, Images, Length, Width;
}

/// <summary>`rc_attention` of Native/api.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeAttention
{
    public int Heads, Prefix;
    public float* PrefixKeys, PrefixValues;
    public long PrefixHead, PrefixRow;
    public float* Bias;
    public long BiasImage, BiasHead, BiasRow, BiasColumn;
    public float* Queries, Keys;
}

/// <summary>`rc_place` of Native/api.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativePlace
{
    public long Row;
    public int Layer;
}

/// <summary>`rc_times` of Native/api.h: seconds by kind of work, summed over the threads.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeTimes
{
    public double Measure, Encode, Product, Finish, Attention;
}
