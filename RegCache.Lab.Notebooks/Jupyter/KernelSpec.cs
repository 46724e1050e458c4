using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>The file by which Jupyter front ends find the kernel.</summary>
internal static class KernelSpec
{
    /// <summary>The name under which notebooks for .NET Interactive ask for C#.</summary>
    public const string CommonName = ".net-csharp";

    /// <summary>The name where a kernel of the common name exists.</summary>
    public const string OwnName = "regcache-csharp";

    // What `lab` and the bundle's launcher set; a front end starts the kernel without them.
    private static readonly string[] KeptVariables =
    [
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "LD_LIBRARY_PATH", "LIBTORCH", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "REGCACHE_KATEX",
        "REGCACHE_MKL", "REGCACHE_PLOTLY", "REGCACHE_ROOT",
    ];

    private static readonly JsonSerializerOptions Written = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the kernelspec for this user. A kernelspec that exists is left alone, also the kit's own where it is the same.</summary>
    /// <returns>Its folder.</returns>
    /// <exception cref="UserException">Kernels of both names exist.</exception>
    public static string Install(IReadOnlyList<string> launch)
    {
        foreach (var (name, title) in new[] { (CommonName, ".NET (C#)"), (OwnName, "RegCache.Lab (C#)") })
        {
            var content = Content(launch, title);
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
    /// <param name="words">The words that make it a kernel.</param>
    public static IReadOnlyList<string> OwnLaunch(string words)
    {
        var runtime = RuntimeEnvironment.GetRuntimeDirectory();
        var carriesRuntime = Path.TrimEndingDirectorySeparator(runtime) == Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        string[] program = carriesRuntime ? [Environment.ProcessPath!] : [Dotnet(runtime), Assembly.GetEntryAssembly()!.Location];
        return [.. program, .. words.Split(' ')];
    }

    // The `dotnet` that runs this process: front ends need not have it on their path.
    private static string Dotnet(string runtime)
    {
        var program = Path.Combine(runtime, "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet");
        return File.Exists(program) ? Path.GetFullPath(program) : "dotnet";
    }

    private static string Content(IReadOnlyList<string> launch, string title)
    {
        var variables = new JsonObject();
        foreach (var name in KeptVariables)
        {
            if (Environment.GetEnvironmentVariable(name) is { Length: > 0 } value)
            {
                variables[name] = value;
            }
        }

        return new JsonObject
        {
            ["argv"] = new JsonArray([.. launch.Concat(["--connection-file", "{connection_file}"]).Select(word => (JsonNode)word)]),
            ["display_name"] = title,
            ["language"] = "C#",
            ["interrupt_mode"] = "message",
            ["env"] = variables,
        }.ToJsonString(Written) + "\n";
    }

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
        var prefixes = new[] { "VIRTUAL_ENV", "CONDA_PREFIX" }
            .Select(Environment.GetEnvironmentVariable)
            .Where(prefix => !string.IsNullOrEmpty(prefix))
            .Concat(["/usr/local", "/usr"]);
        return [.. named, UserFolder(), .. prefixes.Select(prefix => Path.Combine(prefix!, "share", "jupyter", "kernels"))];
    }
}
