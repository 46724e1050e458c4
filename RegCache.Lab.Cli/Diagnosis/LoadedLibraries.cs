using System.Runtime.InteropServices;

namespace RegCache.Lab.Cli.Diagnosis;

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
