using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Kernel.Jupyter;

/// <summary>The file by which Jupyter front ends find the kernel.</summary>
internal static class KernelSpec
{
    /// <summary>The name under which notebooks for .NET Interactive ask for C#.</summary>
    public const string CommonName = ".net-csharp";

    /// <summary>The name where a kernel of the common name exists.</summary>
    public const string OwnName = "regcache-csharp";

    private static readonly JsonSerializerOptions Written = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the kernelspec for this user. A kernelspec that exists is left alone, also the kit's own where it is the same.</summary>
    /// <returns>Its folder.</returns>
    /// <exception cref="UserException">Kernels of both names exist.</exception>
    public static string Install(IReadOnlyList<string> launch)
    {
        var content = Content(launch);
        foreach (var name in new[] { CommonName, OwnName })
        {
            if (SearchFolders().Select(folder => Path.Combine(folder, name)).FirstOrDefault(Directory.Exists) is { } existing)
            {
                var file = Path.Combine(existing, "kernel.json");
                if (File.Exists(file) && File.ReadAllText(file) == content)
                {
                    return existing;
                }

                continue;
            }

            var target = Path.Combine(UserFolder(), name);
            AtomicFile.WriteText(Path.Combine(target, "kernel.json"), content);
            return target;
        }

        throw new UserException(
            $"Kernels named {CommonName} and {OwnName} exist already and are left alone; remove one with `jupyter kernelspec remove {OwnName}`.");
    }

    /// <summary>The command that starts this program as a kernel.</summary>
    public static IReadOnlyList<string> OwnLaunch() => [Dotnet(), Assembly.GetEntryAssembly()!.Location, "kernel"];

    /// <summary>The `dotnet` that runs this process: front ends need not have it on their path.</summary>
    internal static string Dotnet()
    {
        var root = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        var program = Path.Combine(root, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet");
        return File.Exists(program) ? program : "dotnet";
    }

    private static string Content(IReadOnlyList<string> launch) => new JsonObject
    {
        ["argv"] = new JsonArray([.. launch.Concat(["--connection-file", "{connection_file}"]).Select(word => (JsonNode)word)]),
        ["display_name"] = ".NET (C#)",
        ["language"] = "C#",
        ["interrupt_mode"] = "message",
    }.ToJsonString(Written) + "\n";

    private static string UserFolder()
    {
        if (Environment.GetEnvironmentVariable("JUPYTER_DATA_DIR") is { Length: > 0 } named)
        {
            return Path.Combine(named, "kernels");
        }

        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var data = OperatingSystem.IsMacOS() ? Path.Combine(home, "Library")
            : OperatingSystem.IsWindows() ? Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData)
            : Environment.GetEnvironmentVariable("XDG_DATA_HOME") is { Length: > 0 } xdg ? xdg
            : Path.Combine(home, ".local", "share");
        return Path.Combine(data, OperatingSystem.IsMacOS() ? "Jupyter" : "jupyter", "kernels");
    }

    private static IEnumerable<string> SearchFolders()
    {
        var named = (Environment.GetEnvironmentVariable("JUPYTER_PATH") ?? string.Empty)
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, "kernels"));
        return [.. named, UserFolder(), "/usr/local/share/jupyter/kernels", "/usr/share/jupyter/kernels"];
    }
}
