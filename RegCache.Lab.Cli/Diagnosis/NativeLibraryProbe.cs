using System.Globalization;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>Looks for a native library as the dynamic loader does, and asks it for its version.</summary>
/// <param name="Name">The name to show.</param>
/// <param name="FileNames">Names to try in turn, as the loader takes them: <c>libwebp.so.7</c>.</param>
/// <param name="Use">What the kit does with it.</param>
/// <param name="Version">Asks the loaded library; null: only its file's name tells.</param>
internal sealed unsafe record NativeLibraryProbe(
    string Name, IReadOnlyList<string> FileNames, string Use, Func<nint, string?>? Version = null)
{
    /// <summary>The libraries that the kit uses besides libtorch.</summary>
    public static IReadOnlyList<NativeLibraryProbe> All { get; } =
    [
        new("libjpeg-turbo", ["libturbojpeg.so.0", "libturbojpeg.so"], "JPEG images"),
        new("libjpeg", ["libjpeg.so.62", "libjpeg.so.8", "libjpeg.so"], "JPEG images"),
        new("libwebp", ["libwebp.so.7", "libwebp.so"], "WebP images", WebPVersion),
        new("oneDNN", ["libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"], "integer and float kernels", OneDnnVersion),
        new("OpenBLAS", ["libopenblas.so.0"], "libtorch's matrix products", OpenBlasVersion),
        new("OpenMP (GNU)", ["libgomp.so.1"], "threads of libtorch"),
    ];

    /// <summary>Looks for the library.</summary>
    public DiagnosisLine Find()
    {
        foreach (var fileName in FileNames)
        {
            if (NativeLibrary.TryLoad(fileName, out var handle))
            {
                var path = LoadedLibraries.PathOf(handle) ?? fileName;
                return new DiagnosisLine(Name, $"{Version?.Invoke(handle) ?? "found"}, {path} ({Use})");
            }
        }

        return new DiagnosisLine(Name, $"not found ({Use})");
    }

    private static string? WebPVersion(nint library)
    {
        if (!NativeLibrary.TryGetExport(library, "WebPGetDecoderVersion", out var function))
        {
            return null;
        }

        // One byte each: 0x010204 is 1.2.4.
        var number = ((delegate* unmanaged<int>)function)();
        return string.Create(CultureInfo.InvariantCulture, $"{number >> 16}.{number >> 8 & 0xFF}.{number & 0xFF}");
    }

    private static string? OneDnnVersion(nint library)
    {
        if (!NativeLibrary.TryGetExport(library, "dnnl_version", out var function))
        {
            return null;
        }

        // The returned struct begins with three ints: major, minor, patch.
        var version = ((delegate* unmanaged<int*>)function)();
        return string.Create(CultureInfo.InvariantCulture, $"{version[0]}.{version[1]}.{version[2]}");
    }

    private static string? OpenBlasVersion(nint library) =>
        NativeLibrary.TryGetExport(library, "openblas_get_config", out var function)
            ? Marshal.PtrToStringUTF8((nint)((delegate* unmanaged<byte*>)function)())?.Trim()
            : null;
}
