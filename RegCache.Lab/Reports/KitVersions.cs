using System.Reflection;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Reports;

/// <summary>The versions that a result depends on.</summary>
public static class KitVersions
{
    /// <summary>Kit, TorchSharp, SkiaSharp, .NET runtime and operating system, by name.</summary>
    public static IReadOnlyDictionary<string, string> Current { get; } = new Dictionary<string, string>
    {
        ["regcache"] = VersionOf(typeof(KitVersions).Assembly),
        ["TorchSharp"] = VersionOf(typeof(TorchSharp.torch).Assembly),
        ["SkiaSharp"] = VersionOf(typeof(SkiaSharp.SKCodec).Assembly),
        ["runtime"] = RuntimeInformation.FrameworkDescription,
        ["os"] = RuntimeInformation.OSDescription,
    };

    // The part after '+' names the source commit.
    private static string VersionOf(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        ?? assembly.GetName().Version?.ToString()
        ?? "unknown";
}
