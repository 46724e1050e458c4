namespace RegCache.Lab.Reports.Html;

/// <summary>Finds what <c>./lab setup</c> put into <c>artifacts/</c>.</summary>
public static class LocalFile
{
    /// <summary>The file that a variable names, else <c>artifacts/FOLDER/NAME</c> in or above the working or the program's folder.</summary>
    /// <exception cref="UserException">The variable names a file that does not exist.</exception>
    public static string? Find(string variable, string folder, string name)
    {
        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } named)
        {
            return File.Exists(named)
                ? named
                : throw new UserException($"The environment variable {variable} names {named}, which does not exist; correct or remove it.");
        }

        return Above(Environment.CurrentDirectory)
            .Concat(Above(AppContext.BaseDirectory))
            .Select(start => Path.Combine(start, "artifacts", folder, name))
            .FirstOrDefault(File.Exists);
    }

    private static IEnumerable<string> Above(string folder)
    {
        for (var current = new DirectoryInfo(folder); current is not null; current = current.Parent)
        {
            yield return current.FullName;
        }
    }
}
