using System.IO.Enumeration;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>Which files of folders are images that the kit decodes.</summary>
internal static class ImageFiles
{
    private const int MostLinks = 40;

    private static readonly string[] _decoded = [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm"];

    // What systems and their programs leave behind; no class has such a name.
    private static readonly string[] _systemFolders = ["__MACOSX", "lost+found", "@eaDir", "$RECYCLE.BIN", "System Volume Information"];

    private static readonly string[] _others =
    [
        ".tif", ".tiff", ".pam", ".pfm", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jpx", ".jxl", ".tga", ".ico", ".psd", ".svg",
        ".eps", ".exr", ".hdr", ".dcm", ".raw", ".dng", ".cr2", ".nef", ".arw", ".pcx", ".sgi", ".xbm", ".apng",
    ];

    /// <summary>Names of the images directly in a folder; the other files are counted.</summary>
    /// <param name="listing">What lies in the folder.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="root">The set's folder, which examples do not repeat.</param>
    /// <param name="leftOut">Counts the others.</param>
    public static List<string> Take(FolderListing listing, string folder, string root, LeftOutCounter leftOut)
    {
        string Example(string name) => Path.GetRelativePath(root, Path.Combine(folder, name));
        var images = new List<string>();
        foreach (var name in listing.Files)
        {
            if (IsImage(name))
            {
                images.Add(name);
            }
            else
            {
                leftOut.Add(Has(name, _others) ? "images of kinds that the kit cannot decode" : "files of other kinds", Example(name));
            }
        }

        listing.Hidden.ForEach(name => leftOut.Add("names that begin with a dot", Example(name)));
        return images;
    }

    /// <summary>Whether a file is called like an image that the kit decodes.</summary>
    public static bool IsImage(string name) => Has(name, _decoded);

    /// <summary>Whether the system or one of its programs made a folder of that name.</summary>
    public static bool IsOfSystem(string name) => _systemFolders.Contains(name, StringComparer.Ordinal);

    /// <summary>Adds the images of a folder, then those of the folders in it.</summary>
    /// <param name="paths">Receives the paths.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="root">The set's folder.</param>
    /// <param name="leftOut">Counts what is left out.</param>
    /// <param name="enclosing">Where the folders really are that this one lies in.</param>
    /// <exception cref="UserException">A folder cannot be listed, or is a link to one that it lies in.</exception>
    public static void AddTo(PathList paths, string folder, string root, LeftOutCounter leftOut, HashSet<string> enclosing)
    {
        var real = RealPath(folder);
        if (!enclosing.Add(real))
        {
            throw new UserException($"The folder {folder} is a link to {real}, in which it lies itself, so its images would be read again and again: remove the link.");
        }

        var listing = FolderListing.Read(folder, $"The folder {folder}");
        paths.Add(folder, Take(listing, folder, root, leftOut));
        foreach (var inner in listing.Folders)
        {
            AddTo(paths, Path.Combine(folder, inner), root, leftOut, enclosing);
        }

        enclosing.Remove(real);
    }

    private static bool Has(string name, string[] extensions) => extensions.Contains(Path.GetExtension(name), StringComparer.OrdinalIgnoreCase);

    /// <summary>Where a path leads when every link in it is followed.</summary>
    /// <exception cref="UserException">The links lead nowhere.</exception>
    public static string RealPath(string path)
    {
        var full = Path.GetFullPath(path);
        var resolved = Path.GetPathRoot(full)!;
        var parts = new Stack<string>(Parts(full[resolved.Length..]));
        for (var links = 0; parts.TryPop(out var part);)
        {
            if (part == "..")
            {
                resolved = Path.GetDirectoryName(resolved) ?? resolved;
                continue;
            }

            var next = Path.Combine(resolved, part);
            if (new DirectoryInfo(next).LinkTarget is not { } target)
            {
                resolved = next;
                continue;
            }

            if (++links > MostLinks)
            {
                throw new UserException($"The folder {path} cannot be listed: its links lead in a circle; remove them.");
            }

            if (Path.IsPathRooted(target))
            {
                resolved = Path.GetPathRoot(target)!;
                target = target[resolved.Length..];
            }

            foreach (var step in Parts(target))
            {
                parts.Push(step);
            }
        }

        return resolved;

        // The last one first, as a stack is filled.
        static IEnumerable<string> Parts(string path) =>
            path.Split([Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar], StringSplitOptions.RemoveEmptyEntries).Where(part => part != ".").Reverse();
    }
}

/// <summary>What lies directly in a folder, sorted by character code.</summary>
/// <param name="Folders">Folders whose name does not begin with a dot.</param>
/// <param name="Files">Files whose name does not begin with a dot.</param>
/// <param name="Hidden">Names that begin with a dot.</param>
internal sealed record FolderListing(List<string> Folders, List<string> Files, List<string> Hidden)
{
    /// <param name="folder">The folder.</param>
    /// <param name="what">What errors call it, as the beginning of a sentence.</param>
    /// <exception cref="UserException">The folder does not exist or cannot be listed.</exception>
    public static FolderListing Read(string folder, string what)
    {
        if (!Directory.Exists(folder))
        {
            throw new UserException(folder.Contains('\uFFFD', StringComparison.Ordinal)
                ? $"{what} cannot be listed: its name is not UTF-8; rename it."
                : $"{what} does not exist: correct the path or put the images there.");
        }

        try
        {
            // Entries are told apart as they are listed: a file system object each would take most of the time and the memory.
            var entries = new FileSystemEnumerable<(string Name, bool IsFolder)>(
                folder,
                (ref entry) => (entry.FileName.ToString(), entry.IsDirectory),
                new EnumerationOptions { AttributesToSkip = 0, IgnoreInaccessible = false });
            var (folders, files, hidden) = (new List<string>(), new List<string>(), new List<string>());
            foreach (var (name, isFolder) in entries)
            {
                (name.StartsWith('.') ? hidden : isFolder ? folders : files).Add(name);
            }

            folders.Sort(StringComparer.Ordinal);
            files.Sort(StringComparer.Ordinal);
            hidden.Sort(StringComparer.Ordinal);
            return new FolderListing(folders, files, hidden);
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.ToUserException(e, $"{what} cannot be listed");
        }
    }
}
