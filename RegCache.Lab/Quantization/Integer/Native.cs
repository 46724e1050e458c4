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
