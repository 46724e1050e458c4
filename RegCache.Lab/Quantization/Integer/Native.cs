using System.Runtime.InteropServices;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>The functions of Native/api.h, which explains them.</summary>
internal static unsafe partial class Native
{
    public const int Succeeded = 0, NotFinite = 2;

    private const string Library = "RegCacheInt8";

    /// <summary>The library's last message on this thread.</summary>
    public static string LastError => Marshal.PtrToStringUTF8((nint)rc_error()) ?? "unknown failure";

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_describe(byte* text, int capacity);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_problem(Factors factors, byte* text, int capacity);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_size(Factors factors, int inputs, int outputs, long* bytes, int* padded);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_pack(Factors factors, int inputs, int outputs, void* weights, void* packed);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_unpack(Factors factors, int inputs, int outputs, void* packed, void* weights);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_apply(NativeLayer* layer, NativeStream* stream, int threads, NativePlace* place);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_inspect(
        NativeLayer* layer, NativeStream* stream, byte* codes, int* sums, int threads, NativePlace* place);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_multiply(NativeLayer* layer, int rows, int threads);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_attend(
        NativeStream* stream,
        NativeNorm* norm,
        NativeLayer* into,
        NativeAttention* attention,
        NativeLayer* outOf,
        float* gain,
        int threads,
        NativePlace* place);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rc_feed(
        NativeStream* stream,
        NativeNorm* norm,
        NativeLayer* into,
        int activation,
        NativeLayer* outOf,
        float* gain,
        int threads,
        NativePlace* place);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial void rc_take_times(NativeTimes* times);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    private static partial byte* rc_error();
}

/// <summary>Memory and failures of calls into the kernels.</summary>
internal static unsafe class NativeCall
{
    // Spans of a tensor's bytes end at 2 GiB.
    private const long MostBytes = int.MaxValue;

    /// <summary>Whether the kernels can read the tensor: on the CPU, float32 or bfloat16, not too large.</summary>
    public static bool CanRead(Tensor tensor) =>
        tensor.device_type == DeviceType.CPU
        && tensor.dtype is torch.ScalarType.Float32 or torch.ScalarType.BFloat16
        && tensor.NumberOfElements * tensor.ElementSize <= MostBytes;

    /// <summary>Where a dense tensor's memory begins. It stays there; keep the tensor alive.</summary>
    public static void* Address(Tensor tensor)
    {
        fixed (byte* start = tensor.bytes)
        {
            return start;
        }
    }

    /// <summary>The memory of a tensor, or null.</summary>
    public static float* Floats(Tensor? tensor) => tensor is null ? null : (float*)Address(tensor);

    /// <summary>Seconds that all threads together spent in the kernels since the last call, by kind of work.</summary>
    public static NativeTimes TakeTimes()
    {
        NativeTimes times;
        Native.rc_take_times(&times);
        return times;
    }

    /// <summary>Throws what a call reported.</summary>
    public static void Check(int status)
    {
        if (status != Native.Succeeded)
        {
            throw new InvalidOperationException($"oneDNN: {Native.LastError}.");
        }
    }

    /// <summary>Throws what a call on activations reported.</summary>
    /// <param name="status">The call's result.</param>
    /// <param name="place">Where an activation was not finite.</param>
    /// <param name="length">Rows of an image.</param>
    /// <param name="layers">The layers of the call.</param>
    /// <exception cref="UserException">An activation is not finite; the message names its layer and image.</exception>
    public static void Check(int status, NativePlace place, int length, params ReadOnlySpan<OneDnnLinear> layers)
    {
        if (status == Native.NotFinite)
        {
            throw FiniteCheck.Refusal(layers[place.Layer].Name, place.Row / length);
        }

        Check(status);
    }
}

/// <summary>`rc_linear` of Native/api.h: a linear layer by its memory.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeLayer
{
    public Factors Factors;
    public int Inputs, Outputs;
    public void* Packed;
    public float* Bias;
    public float* Scale;
    public int* ColumnSums;
    public int* WeightOffsets;
    public sbyte* Columns;
    public int Scope, Asymmetric, Levels, Zero;
    public float Step, ClippedShift;
}

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
