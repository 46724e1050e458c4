using System.Globalization;
using System.Runtime.InteropServices;
using RegCache.Lab.Reports;
using SkiaSharp;

namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>Looks for a native library as the dynamic loader does, and asks it for its version.</summary>
/// <param name="Name">The name to show.</param>
/// <param name="FileNames">Names to try in turn, as the loader takes them: <c>libdnnl.so.3</c>.</param>
/// <param name="Use">What the kit does with it.</param>
/// <param name="Version">Asks the loaded library; null: only its file's name tells.</param>
internal sealed unsafe record NativeLibraryProbe(
    string Name, IReadOnlyList<string> FileNames, string Use, Func<nint, string?>? Version = null)
{
    private static readonly NativeLibraryProbe[] _libraries =
    [
        new(
            "libjpeg-turbo", ["libturbojpeg.so.0", "libturbojpeg.so", "libturbojpeg.0.dylib", "libturbojpeg.dylib", "turbojpeg.dll", "libturbojpeg.dll"],
            "decodes JPEG in less time than SkiaSharp, to the same bytes"),
        new("oneDNN", ["libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"], "integer and float kernels", OneDnnVersion),
    ];

    /// <summary>The libraries that the kit uses besides libtorch.</summary>
    public static IEnumerable<DiagnosisLine> FindAll() => [SkiaSharp(), .. _libraries.Select(library => library.Find())];

    /// <summary>Looks for the library.</summary>
    private DiagnosisLine Find()
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

    private static DiagnosisLine SkiaSharp()
    {
        try
        {
            // Asking for the native version loads the library.
            _ = SkiaSharpVersion.Native;
            return new DiagnosisLine("SkiaSharp", $"{KitVersions.Current["SkiaSharp"].Split('+')[0]} (images)");
        }
        catch (Exception error) when (error is DllNotFoundException or TypeInitializationException)
        {
            return new DiagnosisLine("SkiaSharp", "its native library cannot be loaded: no PNG, WebP, GIF or BMP image can be read", Problem: true);
        }
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
}
