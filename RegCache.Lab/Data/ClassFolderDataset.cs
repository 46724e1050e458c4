using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// A folder of images on disk: one folder a class (<c>root/n01440764/x.JPEG</c>), or all images in the folder itself,
/// without labels. Classes are sorted by folder name, images by class and then by path, both by character code, so
/// that indices are the same everywhere. Names that begin with a dot are passed over.
/// </summary>
public sealed class ClassFolderDataset
{
    private static readonly string[] Extensions = [".jpg", ".jpeg", ".png", ".webp"];

    private ClassFolderDataset(string root, List<string> classNames, List<string> paths, List<int> labels)
    {
        Root = root;
        ClassNames = classNames;
        Paths = paths;
        Labels = labels;
    }

    /// <summary>The folder.</summary>
    public string Root { get; }

    /// <summary>Names of the class folders, sorted; empty for a set without labels.</summary>
    public IReadOnlyList<string> ClassNames { get; }

    /// <summary>The image files in the set's order.</summary>
    public IReadOnlyList<string> Paths { get; }

    /// <summary>The label of every image, its class folder's index; empty for a set without labels.</summary>
    public IReadOnlyList<int> Labels { get; }

    /// <summary>Number of images.</summary>
    public int Count => Paths.Count;

    /// <summary>Lists a folder of class folders.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="variable">What named the folder, for errors; null: nothing did.</param>
    /// <param name="expectedClasses">The class folders that must be there, in order; null: any.</param>
    /// <exception cref="UserException">
    /// The folder does not exist, has no class folders or no images, or the classes are not the expected ones.
    /// </exception>
    public static ClassFolderDataset OpenClasses(
        string root, DataVariable? variable = null, IReadOnlyList<string>? expectedClasses = null)
    {
        var listing = FolderListing.Read(root, Describe(root, variable));
        if (listing.Folders.Count == 0)
        {
            throw new UserException(
                $"{Describe(root, variable)} holds no class folders: choose a folder with one folder of images for each class.");
        }

        if (expectedClasses is not null)
        {
            CheckClasses(listing.Folders, expectedClasses, Describe(root, variable));
        }

        return WithClasses(root, variable, listing);
    }

    /// <summary>Lists a folder of class folders, or of images without labels (calibration sets may be either).</summary>
    /// <param name="root">The folder.</param>
    /// <param name="variable">What named the folder, for errors; null: nothing did.</param>
    /// <exception cref="UserException">
    /// The folder does not exist, has no images, or holds both images and class folders.
    /// </exception>
    public static ClassFolderDataset Open(string root, DataVariable? variable = null)
    {
        var listing = FolderListing.Read(root, Describe(root, variable));
        var images = listing.Files.FindAll(IsImage);
        return (images.Count, listing.Folders.Count) switch
        {
            (0, 0) => throw new UserException(
                $"{Describe(root, variable)} holds no JPEG, PNG or WebP images: choose a folder with images."),
            (0, _) => WithClasses(root, variable, listing),
            (_, 0) => new ClassFolderDataset(root, [], images.ConvertAll(name => Path.Combine(root, name)), []),
            _ => throw new UserException(
                $"{Describe(root, variable)} holds both images ({images[0]}) and folders ({listing.Folders[0]}): " +
                "move one kind elsewhere, so that it is clear whether folders are classes."),
        };
    }

    /// <summary>
    /// Identifies the set: SHA-256 over every image's relative path, its length, and its first and last 4096 bytes, as
    /// 64 hexadecimal digits. A change in the middle of a larger file that keeps its length is not noticed; reading
    /// all bytes of a large set would take longer than many experiments on it.
    /// </summary>
    /// <exception cref="UserException">A file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public string ComputeFingerprint(CancellationToken cancellation = default) =>
        DatasetFingerprint.Compute(Root, Paths, cancellation);

    private static ClassFolderDataset WithClasses(string root, DataVariable? variable, FolderListing listing)
    {
        List<string> paths = [];
        List<int> labels = [];
        for (var label = 0; label < listing.Folders.Count; label++)
        {
            var before = paths.Count;
            AddImages(Path.Combine(root, listing.Folders[label]), paths);
            labels.AddRange(Enumerable.Repeat(label, paths.Count - before));
        }

        // A class without images keeps its label: a sample need not show every class.
        return paths.Count > 0
            ? new ClassFolderDataset(root, listing.Folders, paths, labels)
            : throw new UserException(
                $"{Describe(root, variable)} holds {listing.Folders.Count} class folders without a single JPEG, PNG or WebP image: add images.");
    }

    /// <summary>Adds the images of a folder, then those of the folders in it.</summary>
    private static void AddImages(string folder, List<string> paths)
    {
        var listing = FolderListing.Read(folder, $"The folder {folder}");
        paths.AddRange(listing.Files.FindAll(IsImage).ConvertAll(name => Path.Combine(folder, name)));
        foreach (var inner in listing.Folders)
        {
            AddImages(Path.Combine(folder, inner), paths);
        }
    }

    private static void CheckClasses(List<string> found, IReadOnlyList<string> expected, string what)
    {
        if (found.SequenceEqual(expected))
        {
            return;
        }

        var missing = expected.Except(found).FirstOrDefault();
        var surplus = found.Except(expected).FirstOrDefault();
        var difference =
            missing is not null ? $"{missing} is missing"
            : surplus is not null ? $"{surplus} is not one of them"
            : "the expected names are not in sorted order";
        throw new UserException(
            $"{what} holds {found.Count} class folders that are not the {expected.Count} expected ones ({difference}): " +
            "choose the folder that belongs to the class names.");
    }

    private static bool IsImage(string name) =>
        Extensions.Contains(Path.GetExtension(name), StringComparer.OrdinalIgnoreCase);

    private static string Describe(string root, DataVariable? variable) =>
        variable is null ? $"The folder {root}" : $"The folder {root} of {variable.Name}";
}

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

/// <summary>Hashes names, lengths and ends of files; see <see cref="ClassFolderDataset.ComputeFingerprint"/>.</summary>
internal static class DatasetFingerprint
{
    private const int EndLength = 4096;

    public static string Compute(string root, IReadOnlyList<string> paths, CancellationToken cancellation)
    {
        var digests = new byte[paths.Count][];
        try
        {
            Parallel.For(
                0,
                paths.Count,
                new ParallelOptions { CancellationToken = cancellation },
                i => digests[i] = Digest(root, paths[i]));
        }
        catch (AggregateException e) when (e.InnerExceptions.OfType<UserException>().FirstOrDefault() is { } first)
        {
            throw new UserException(first.Message, e);
        }

        using var all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var digest in digests)
        {
            all.AppendData(digest);
        }

        return Convert.ToHexStringLower(all.GetHashAndReset());
    }

    private static byte[] Digest(string root, string path)
    {
        try
        {
            using var handle = File.OpenHandle(path);
            var length = RandomAccess.GetLength(handle);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            // The same set has the same fingerprint on every system.
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetRelativePath(root, path).Replace('\\', '/')));
            Span<byte> number = stackalloc byte[9];
            number.Clear();
            BinaryPrimitives.WriteInt64LittleEndian(number[1..], length);
            hash.AppendData(number);
            Span<byte> end = stackalloc byte[EndLength];
            hash.AppendData(end[..RandomAccess.Read(handle, end, 0)]);
            if (length > EndLength)
            {
                hash.AppendData(end[..RandomAccess.Read(handle, end, Math.Max(EndLength, length - EndLength))]);
            }

            return hash.GetHashAndReset();
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.ToUserException(e, $"The image {path} cannot be read");
        }
    }
}
