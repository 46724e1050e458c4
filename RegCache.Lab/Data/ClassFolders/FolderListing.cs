using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.ClassFolders;

/// <summary>What lies directly in a folder, sorted by character code, without names that begin with a dot.</summary>
internal sealed record FolderListing(List<string> Folders, List<string> Files)
{
    /// <param name="folder">The folder.</param>
    /// <param name="what">What errors call it, as the beginning of a sentence.</param>
    /// <exception cref="UserException">The folder does not exist or cannot be listed.</exception>
    public static FolderListing Read(string folder, string what)
    {
        if (!Directory.Exists(folder))
        {
            throw new UserException($"{what} does not exist: correct the path or put the images there.");
        }

        try
        {
            var entries = new DirectoryInfo(folder).EnumerateFileSystemInfos().ToList();
            return new FolderListing(
                Sorted(entries.OfType<DirectoryInfo>()), Sorted(entries.OfType<FileInfo>()));
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.ToUserException(e, $"{what} cannot be listed");
        }
    }

    private static List<string> Sorted(IEnumerable<FileSystemInfo> entries)
    {
        var names = entries.Select(entry => entry.Name).Where(name => !name.StartsWith('.')).ToList();
        names.Sort(StringComparer.Ordinal);
        return names;
    }
}
