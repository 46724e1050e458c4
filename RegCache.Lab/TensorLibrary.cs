using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text.RegularExpressions;

namespace RegCache.Lab;

/// <summary>
/// What has to be settled before the first call of TorchSharp: how OpenMP's threads wait, which instructions MKL uses, and whether TorchSharp
/// works over another libtorch.
/// </summary>
/// <remarks>
/// A build carries its own libtorch beside the program. A bundle (<c>./lab bundle</c>) keeps it in a folder of its own, and its launcher puts the
/// libtorch or PyTorch that LIBTORCH names in its place, for example one with CUDA.
/// </remarks>
public static partial class TensorLibrary
{
    private const int ResolveAllSymbols = 0x2; // RTLD_NOW
    private const int OfferToAll = 0x100; // RTLD_GLOBAL
    private const string Bridge = "libLibTorchSharp.so";
    private const string MklAnswer = "libRegCacheMkl.so";
    private const string MklVariable = "REGCACHE_MKL";

    /// <summary>The libtorch release that TorchSharp is built against; a constant, since asking TorchSharp would load it.</summary>
    public const string ExpectedVersion = "2.10.0";

    /// <summary>Whether this program carries its libtorch beside it, so that LIBTORCH has no effect.</summary>
    public static bool IsSelfContained => !OperatingSystem.IsLinux() || File.Exists(Beside("libtorch_cpu.so"));

    /// <summary>The folder of LIBTORCH; null when none is named.</summary>
    public static string? Named => Environment.GetEnvironmentVariable("LIBTORCH") is { Length: > 0 } folder ? folder : null;

    /// <summary>Whether MKL was told to choose its products by the instruction set, on a processor that is not Intel's.</summary>
    public static bool IsMklFreed { get; private set; }

    /// <summary>
    /// The threads of the kit's own loops, as many as tensor operators have (<c>--threads</c>): one of several processes has a share of the machine's
    /// cores alone.
    /// </summary>
    internal static ParallelOptions OwnThreads => new() { MaxDegreeOfParallelism = torch.get_num_threads() };

    /// <summary>
    /// Shortens the spinning of OpenMP's threads, unless OMP_WAIT_POLICY or GOMP_SPINCOUNT says otherwise, and on AMD's processors lets MKL use
    /// all their instructions, unless REGCACHE_MKL=untouched. Runs by itself when this assembly is loaded; a program calls it before it touches
    /// TorchSharp without the kit.
    /// </summary>
    /// <remarks>
    /// GNU OpenMP's threads spin for about a millisecond at the end of each parallel part, which takes the cores from every other thread: a step on a
    /// busy machine becomes up to eight times slower. Some tens of microseconds serve short operators as well. The library reads the variable
    /// when it is loaded, and from the process's own environment, which .NET does not write to. MKL: Quantization/Native/mkl.c.
    /// </remarks>
#pragma warning disable CA2255 // A library should not run code on loading: this must come before the first tensor, wherever that is.
    [ModuleInitializer]
    public static void Prepare()
#pragma warning restore CA2255
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        if (Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null)
        {
            _ = SetEnvironment("GOMP_SPINCOUNT", "10000", overwrite: 0);
        }

        if (!IsMklFreed && IsAmd() && Environment.GetEnvironmentVariable(MklVariable) != "untouched")
        {
            IsMklFreed = Open(Beside(MklAnswer), ResolveAllSymbols | OfferToAll) != 0;
        }
    }

    /// <summary>Why TorchSharp does not work over the libtorch that LIBTORCH names, in one sentence; null where it does, or where none is named.</summary>
    public static string? Problem() => Named is not { } folder || IsSelfContained ? null
        : !File.Exists(Path.Combine(folder, "lib", "libtorch_cpu.so"))
            ? $"LIBTORCH={folder} has no lib/libtorch_cpu.so: name an unpacked libtorch {ExpectedVersion} or the folder of PyTorch {ExpectedVersion}, or unset it."
        : LoadingError(Beside(Bridge)) is { } reason
            ? $"LIBTORCH={folder} is {VersionOf(folder)}, over which TorchSharp, built for libtorch {ExpectedVersion}, does not load ({reason}): "
              + $"name one of version {ExpectedVersion}, or unset it."
        : null;

    /// <summary>The version of an unpacked libtorch or of PyTorch's folder, as it says itself: <c>PyTorch 2.10.0+cu128</c>.</summary>
    public static string VersionOf(string folder)
    {
        var (python, unpacked) = (Path.Combine(folder, "version.py"), Path.Combine(folder, "build-version"));
        return File.Exists(python) && PythonVersion().Match(File.ReadAllText(python)) is { Success: true } match ? $"PyTorch {match.Groups[1].Value}"
            : File.Exists(unpacked) ? $"libtorch {File.ReadAllText(unpacked).Trim()}"
            : "a libtorch of unknown version";
    }

    // Not the program's folder, for a notebook's kernel lies elsewhere.
    private static string Beside(string name) =>
        Path.Combine(Path.GetDirectoryName(typeof(TensorLibrary).Assembly.Location) is { Length: > 0 } folder ? folder : AppContext.BaseDirectory, name);

    private static bool IsAmd()
    {
        if (!Avx2.IsSupported)
        {
            return false;
        }

        var (_, first, third, second) = X86Base.CpuId(0, 0);
        return MemoryMarshal.AsBytes<int>([first, second, third]).SequenceEqual("AuthenticAMD"u8);
    }

    /// <summary>What the dynamic linker says of a library whose symbols must all be found now; null where they are.</summary>
    private static string? LoadingError(string library)
    {
        // Asked before, so that the runtime does not look the function up, and lose the message, in between.
        _ = TellError();
        return Open(library, ResolveAllSymbols) != 0 ? null
            : Marshal.PtrToStringUTF8(TellError())?.Replace(Beside(""), "", StringComparison.Ordinal) ?? "no reason given";
    }

    [GeneratedRegex("""__version__\s*(?::[^=]*)?=\s*['"]([^'"]+)['"]""")]
    private static partial Regex PythonVersion();

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    [LibraryImport("libc", EntryPoint = "dlopen", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Open(string path, int mode);

    [LibraryImport("libc", EntryPoint = "dlerror")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint TellError();
}
