using System.Runtime.InteropServices;
using System.Text;

namespace RegCache.Lab.Distributed;

/// <summary>The functions of Native/mpi.c, which explains them.</summary>
internal static unsafe partial class Mpi
{
    /// <summary>Number types, by their place in mpi.c's list.</summary>
    public const int Bytes = 0, Int32 = 1, Int64 = 2, Float32 = 3, Float64 = 4;

    /// <summary>Room for texts.</summary>
    public const int NameLength = 512, TextLength = 1024;

    private const string Library = "RegCacheMpi";

    /// <summary>Which MPI there is; null where the kit was built without one.</summary>
    public static string? Version()
    {
        try
        {
            var text = stackalloc byte[TextLength];
            return rcmpi_version(text, TextLength) == 0 ? Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(text)) : null;
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException)
        {
            return null;
        }
    }

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_start(int* place);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_end();

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_abort(int code);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_barrier();

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_broadcast(void* values, int count, int type, int from);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_sum(void* values, int count, int type);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_begin_sum(void* values, void* sums, int count, int type);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_end_sums();

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_gather(void* mine, int count, void* all, int* counts, int* starts, int type);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_machine(byte* name);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_version(byte* text, int capacity);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory)]
    public static partial int rcmpi_text(int error, byte* text);
}
