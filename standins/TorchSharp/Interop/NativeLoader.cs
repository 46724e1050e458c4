using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

/// <summary>Finds the bridge beside this assembly, and says what to do where it is missing or libtorch cannot be loaded.</summary>
internal static class NativeLoader
{
    private const string FileName = "libTorchSharpBridge.so";

    [ModuleInitializer]
    internal static void Register() => NativeLibrary.SetDllImportResolver(typeof(NativeLoader).Assembly, Resolve);

    private static nint Resolve(string library, Assembly assembly, DllImportSearchPath? searchPath)
    {
        if (library != Native.Library)
        {
            return 0;
        }

        var path = Path.Combine(Path.GetDirectoryName(assembly.Location) is { Length: > 0 } folder ? folder : AppContext.BaseDirectory, FileName);
        if (!File.Exists(path))
        {
            throw new DllNotFoundException(
                $"{path} is missing: run ./lab setup, or build it with standins/TorchSharp/native/build.sh {Path.GetDirectoryName(path)}.");
        }

        try
        {
            return NativeLibrary.Load(path);
        }
        catch (DllNotFoundException error)
        {
            throw new DllNotFoundException(
                $"{path} cannot be loaded ({FirstReason(error.Message)}): run ./lab setup, or compile it for another libtorch with "
                + "LIBTORCH=<folder> standins/TorchSharp/native/build.sh <folder of the program>.",
                error);
        }
    }

    /// <summary>The dynamic linker's own sentence within the runtime's long message.</summary>
    private static string FirstReason(string message) =>
        message.Split('\n').FirstOrDefault(line => line.Contains(".so", StringComparison.Ordinal) && line.Contains(": ", StringComparison.Ordinal), message).Trim();
}
