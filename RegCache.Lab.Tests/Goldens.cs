namespace RegCache.Lab.Tests;

/// <summary>Finds the reference values: in the folder that REGCACHE_GOLDENS names, else in the copy beside the tests.</summary>
internal static class Goldens
{
    /// <summary>The solution's folder.</summary>
    public static string RepositoryRoot { get; } = FindRepositoryRoot();

    /// <summary>The path of a golden file, for example <c>Path("clip", "pt", "state.pt")</c>.</summary>
    public static string Path(string area, params string[] parts)
    {
        var root = Environment.GetEnvironmentVariable("REGCACHE_GOLDENS") is { Length: > 0 } named
            ? named
            : System.IO.Path.Combine(RepositoryRoot, "RegCache.Lab.Tests", "Goldens");
        return System.IO.Path.Combine([root, area, .. parts]);
    }

    /// <summary>
    /// A file that may not be kept in the repository (upstream data): from REGCACHE_GOLDENS, else from the folder
    /// <c>shared/goldens</c> or <c>shared/data</c> beside the repository; null when neither has it.
    /// </summary>
    public static string? ExternalPath(string area, params string[] parts)
    {
        string[] candidates =
        [
            Path(area, parts),
            System.IO.Path.Combine([RepositoryRoot, "..", "shared", "goldens", area, .. parts]),
            System.IO.Path.Combine([RepositoryRoot, "..", "shared", area, .. parts]),
        ];
        return candidates.FirstOrDefault(path => File.Exists(path) || Directory.Exists(path));
    }

    private static string FindRepositoryRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "RegCache.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No RegCache.sln above {AppContext.BaseDirectory}.");
    }
}
