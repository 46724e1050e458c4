using System.Globalization;
using System.Runtime.InteropServices;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Reports;
using SkiaSharp;
using TorchSharp;

namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>One fact about the machine or the installation.</summary>
/// <param name="Name">What it is about.</param>
/// <param name="Value">What was found; where something is missing, what to do.</param>
/// <param name="Problem">Whether the kit cannot work as it is.</param>
internal sealed record DiagnosisLine(string Name, string Value, bool Problem = false);

/// <summary>The kit, the runtime and the machine.</summary>
internal static class SystemProbe
{
    private const string ProcessorFile = "/proc/cpuinfo";

    /// <summary>Processor features that libtorch, oneDNN or the kit's own kernels choose their code by.</summary>
    private static readonly string[] FeaturesThatMatter =
    [
        "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
        "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "bf16", "i8mm", "sve",
    ];

    /// <summary>The kit and what it was built with.</summary>
    public static IReadOnlyList<DiagnosisLine> Kit() =>
    [
        new("regcache", KitVersions.Current["regcache"]),
        new("TorchSharp", KitVersions.Current["TorchSharp"]),
        new("installed in", AppContext.BaseDirectory),
    ];

    /// <summary>Runtime, operating system, processor and memory.</summary>
    public static IReadOnlyList<DiagnosisLine> Machine() =>
    [
        new("runtime", $"{RuntimeInformation.FrameworkDescription} ({RuntimeInformation.RuntimeIdentifier})"),
        new("system", RuntimeInformation.OSDescription),
        new("processor", ProcessorField("model name") ?? RuntimeInformation.ProcessArchitecture.ToString()),
        new("cores", $"{Environment.ProcessorCount} for this process"),
        new("instructions", Features()),
        new("memory", $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1L << 30):0.0} GiB for this process"),
    ];

    private static string Features()
    {
        var present = (ProcessorField("flags") ?? ProcessorField("Features") ?? "").Split(' ');
        return string.Join(' ', FeaturesThatMatter.Intersect(present)) is { Length: > 0 } found ? found : "unknown";
    }

    private static string? ProcessorField(string name) => !File.Exists(ProcessorFile)
        ? null
        : File.ReadLines(ProcessorFile)
            .Select(line => line.Split(':', 2))
            .FirstOrDefault(parts => parts.Length == 2 && parts[0].Trim() == name)?[1].Trim();
}

/// <summary>The tensor engine: libtorch, its devices and threads, by using it.</summary>
internal static class EngineProbe
{
    private const string DriverFolder = "/proc/driver/nvidia/gpus";

    /// <summary>Loads libtorch and asks it.</summary>
    public static IReadOnlyList<DiagnosisLine> Find()
    {
        if (TensorLibrary.Problem() is { } problem)
        {
            return [new("libtorch", problem, Problem: true)];
        }

        try
        {
            using var two = torch.ones(1) + torch.ones(1);
            return
            [
                two.item<float>() == 2 ? new("libtorch", TensorLibrary.ExpectedVersion) : new("libtorch", $"1 + 1 is {two.item<float>()}", Problem: true),
                new("loaded from", LoadedLibraries.PathOf("libtorch_cpu.so") ?? "unknown"),
                .. Named(),
                new("products", TensorLibrary.IsMklFreed ? "by MKL, chosen by the instruction set (REGCACHE_MKL=untouched: by the processor's maker)" : "by MKL"),
                new("threads", Invariant($"{torch.get_num_threads()} in an operator")),
                new("CUDA", CudaDevices()),
                new("integers", Integers()),
            ];
        }
        catch (Exception error)
        {
            // Whatever it is, the user asked what is wrong.
            return [new("libtorch", ErrorReport.Sentence(error), Problem: true)];
        }
    }

    private static IEnumerable<DiagnosisLine> Named() => TensorLibrary.Named is not { } folder ? []
        : TensorLibrary.IsSelfContained ? [new("LIBTORCH", $"{folder} has no effect: this build carries its own libtorch, a bundle (./lab bundle) takes another")]
        : [new("LIBTORCH", $"{folder}, {TensorLibrary.VersionOf(folder)}; TorchSharp is built for libtorch {TensorLibrary.ExpectedVersion}")];

    private static string Integers() => OneDnn.Support is { IntegerProblem: { } problem }
        ? $"simulated in float: {problem}"
        : $"8-bit products by {OneDnn.Support.Description}";

    private static string CudaDevices()
    {
        var cards = Cards();
        return torch.cuda.is_available() ? Invariant($"{torch.cuda.device_count()} device(s): {string.Join(", ", cards)}")
            : cards.Count > 0 ? $"not usable by this libtorch, though there is {string.Join(", ", cards)}: see README.md, \"GPU\""
            : "no device";
    }

    private static List<string> Cards() => !Directory.Exists(DriverFolder)
        ? []
        : [.. Directory.EnumerateDirectories(DriverFolder)
            .SelectMany(card => File.ReadLines(Path.Combine(card, "information")))
            .Where(line => line.StartsWith("Model:", StringComparison.Ordinal))
            .Select(line => line["Model:".Length..].Trim())];

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}

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
    public static IEnumerable<DiagnosisLine> FindAll() => [SkiaSharp(), .. _libraries.Select(library => library.Find()), new("MPI", DistributedProbe.Transport())];

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

/// <summary>The native libraries that this process has loaded.</summary>
internal static unsafe partial class LoadedLibraries
{
    private const string Maps = "/proc/self/maps";
    private const int LinkMapRequest = 2;

    /// <summary>The file behind a handle of <see cref="NativeLibrary"/>; null when the system does not tell.</summary>
    public static string? PathOf(nint handle)
    {
        LinkMap* map;
        if (!OperatingSystem.IsLinux() || TellLinkMap(handle, LinkMapRequest, &map) != 0)
        {
            return null;
        }

        var path = Marshal.PtrToStringUTF8(map->Name);
        return File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path : path;
    }

    /// <summary>The file of a library that something else has loaded; null when it is not loaded.</summary>
    /// <param name="stem">How the file's name begins: <c>libtorch_cpu.so</c>.</param>
    public static string? PathOf(string stem) => !File.Exists(Maps)
        ? null
        : File.ReadLines(Maps)
            .Select(line => line.IndexOf('/') is var start and >= 0 ? line[start..] : "")
            .FirstOrDefault(path => Path.GetFileName(path).StartsWith(stem, StringComparison.Ordinal));

    [LibraryImport("libc", EntryPoint = "dlinfo")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int TellLinkMap(nint handle, int request, LinkMap** map);

    /// <summary>The head of the loader's struct link_map.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct LinkMap
    {
        private readonly nint _address;
        public readonly nint Name;
    }
}
