namespace RegCache.Lab.Reports;

/// <summary>Finds files of the kit from wherever it is used: the command, a notebook, a test.</summary>
public static class KitFile
{
    /// <summary>The environment variable that names the kit's folder.</summary>
    public const string RootVariable = "REGCACHE_ROOT";

    /// <summary>
    /// The file or folder of this relative path in the kit's folder (<see cref="RootVariable"/>), or in or above the working folder or
    /// the program's; null where there is none.
    /// </summary>
    public static string? Find(string relativePath)
    {
        string?[] root = [Environment.GetEnvironmentVariable(RootVariable)];
        return root.Where(folder => !string.IsNullOrEmpty(folder)).OfType<string>()
            .Concat(Above(Environment.CurrentDirectory))
            .Concat(Above(AppContext.BaseDirectory))
            .Select(folder => Path.Combine(folder, relativePath))
            .FirstOrDefault(Path.Exists);
    }

    /// <summary>The file that a variable names, else <see cref="Find(string)"/>.</summary>
    /// <exception cref="UserException">The variable names a file that does not exist.</exception>
    public static string? Find(string relativePath, string variable)
    {
        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } named)
        {
            return File.Exists(named)
                ? named
                : throw new UserException($"The environment variable {variable} names {named}, which does not exist; correct or remove it.");
        }

        return Find(relativePath);
    }

    private static IEnumerable<string> Above(string folder)
    {
        for (var current = new DirectoryInfo(folder); current is not null; current = current.Parent)
        {
            yield return current.FullName;
        }
    }
}
