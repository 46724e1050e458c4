using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

/// <summary>Finds the bridge beside this assembly, and says what to do where it is missing or libtorch cannot be loaded.</summary>
internal static class NativeLoader
{
    private const string FileName = "libTorchSharpBridge.so";

    // The runtime asks again for every function that is called for the first time.
    private static readonly Lazy<nint> _bridge = new(Load);

    [ModuleInitializer]
    internal static void Register() => NativeLibrary.SetDllImportResolver(typeof(NativeLoader).Assembly, Resolve);

    private static nint Resolve(string library, Assembly assembly, DllImportSearchPath? searchPath) =>
        library == Native.Library ? _bridge.Value : 0;

    private static nint Load()
    {
        var path = Path.Combine(Path.GetDirectoryName(typeof(NativeLoader).Assembly.Location) is { Length: > 0 } folder ? folder : AppContext.BaseDirectory, FileName);
        if (!File.Exists(path))
        {
            throw new DllNotFoundException(
                $"{path} is missing: run ./lab setup, or build it with standins/TorchSharp/native/build.sh {Path.GetDirectoryName(path)}.");
        }

        try
        {
            ShortenSpinning();
            var handle = NativeLibrary.Load(path);
            UseAllCores(handle);
            return handle;
        }
        catch (DllNotFoundException error)
        {
            throw new DllNotFoundException(
                $"{path} cannot be loaded ({FirstReason(error.Message)}): run ./lab setup, or compile it for another libtorch with "
                + "LIBTORCH=<folder> standins/TorchSharp/native/build.sh <folder of the program>.",
                error);
        }
    }

    // GNU OpenMP's threads spin for a millisecond at the end of each parallel part, which takes the cores from threads
    // outside OpenMP (a BLAS's own, the runtime's). Some tens of microseconds serve short operators as well. The runtime
    // reads the variable when it is loaded, so it must be in the process's own environment before that.
    private static void ShortenSpinning()
    {
        if (Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null)
        {
            _ = setenv("GOMP_SPINCOUNT", "10000", overwrite: 0);
        }
    }

    // Debian's libtorch begins with one thread. The user's own choice stands.
    private static unsafe void UseAllCores(nint handle)
    {
        string?[] chosen = [Environment.GetEnvironmentVariable("OMP_NUM_THREADS"), Environment.GetEnvironmentVariable("MKL_NUM_THREADS")];
        var threads = (delegate* unmanaged<int>)NativeLibrary.GetExport(handle, nameof(Native.tsb_threads));
        if (chosen.All(string.IsNullOrEmpty) && threads() == 1 && Environment.ProcessorCount > 1)
        {
            var set = (delegate* unmanaged<int, int>)NativeLibrary.GetExport(handle, nameof(Native.tsb_set_threads));
            set(Environment.ProcessorCount);
        }
    }

    [DllImport("libc")]
    private static extern int setenv(
        [MarshalAs(UnmanagedType.LPUTF8Str)] string name, [MarshalAs(UnmanagedType.LPUTF8Str)] string value, int overwrite);

    /// <summary>The dynamic linker's own sentence within the runtime's long message.</summary>
    private static string FirstReason(string message) =>
        message.Split('\n').FirstOrDefault(line => line.Contains(".so", StringComparison.Ordinal) && line.Contains(": ", StringComparison.Ordinal), message).Trim();
}
