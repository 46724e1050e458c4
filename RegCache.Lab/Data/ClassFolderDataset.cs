using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// A folder of images on disk: one folder a class (<c>root/n01440764/x.JPEG</c>), or all images in the folder itself,
/// without labels. Classes are sorted by folder name, images by class and then by path, both by character code, so
/// that indices are the same everywhere. What is passed over is counted in <see cref="Inventory"/>.
/// </summary>
public sealed class ClassFolderDataset : ImageSet
{
    private readonly PathList _paths;

    private ClassFolderDataset(
        string root, DataVariable? variable, List<string> classNames, PathList paths, int[] labels, LeftOutCounter leftOut)
    {
        Root = root;
        ClassNames = classNames;
        ClassesCalledAfter = classNames.Count == 0 ? null : "their folders";
        _paths = paths.Trim();
        Labels = labels;
        var empty = EmptyClasses;
        Inventory = new(
            variable is null ? root : $"{variable.Name} {root}",
            classNames.Count == 0 ? $"{Count} images" : $"{Count} images in {InWords(classNames.Count, ClassNoun)}",
            leftOut.Reasons,
            empty.Count == 0
                ? []
                : [$"{InWords(empty.Count, ClassNoun)} of {root} without images: {Some(empty)}. A class keeps its label; a folder that is no class shifts all labels behind it, so move it away."]);
    }

    /// <summary>The entry in the list of formats.</summary>
    public static ImageSetFormat Entry { get; } = new(
        "folders",
        "one folder of images a class, as ImageNet lies on disk; or all images in one folder with a table of their labels in it or beside it",
        _ => false,
        request => request.Split is { } split ? throw new UserException($"Class folders have no split '{split}': name the folder of the split.")
            : !request.NeedsLabels ? Open(request.Path, request.Variable)
            : (ImageSet?)LabelledFolder.OpenFlat(request) ?? OpenClasses(request.Path, request.Variable));

    /// <summary>The folder.</summary>
    public string Root { get; }

    /// <summary>The image files in the set's order.</summary>
    public IReadOnlyList<string> Paths => _paths;

    /// <inheritdoc />
    public override int Count => _paths.Count;

    /// <inheritdoc />
    public override DataInventory Inventory { get; }

    /// <inheritdoc />
    protected override string ClassNoun => "class folder";

    /// <summary>Lists a folder of class folders.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="variable">What named the folder, for errors; null: nothing did.</param>
    /// <param name="expectedClasses">The class folders that must be there, in order; null: any.</param>
    /// <exception cref="UserException">
    /// The folder does not exist, has no class folders or no images, holds a loop of links, or the classes are not the expected ones.
    /// </exception>
    public static ClassFolderDataset OpenClasses(
        string root, DataVariable? variable = null, IReadOnlyList<string>? expectedClasses = null)
    {
        var (images, folders, leftOut) = ListRoot(root, variable);
        images.ForEach(image => leftOut.Add("images outside class folders", image));
        if (folders.Count == 0)
        {
            throw new UserException(
                $"{Describe(root, variable)} holds no class folders: choose a folder with one folder of images for each class{Found(leftOut)}.");
        }

        var set = WithClasses(root, variable, folders, leftOut);
        if (expectedClasses is not null)
        {
            set.RequireClasses(expectedClasses);
        }

        return set;
    }

    /// <summary>Lists a folder of class folders, or of images without labels (calibration sets may be either).</summary>
    /// <param name="root">The folder.</param>
    /// <param name="variable">What named the folder, for errors; null: nothing did.</param>
    /// <exception cref="UserException">
    /// The folder does not exist, has no images, holds a loop of links, or holds both images and class folders.
    /// </exception>
    public static ClassFolderDataset Open(string root, DataVariable? variable = null)
    {
        var (images, folders, leftOut) = ListRoot(root, variable);
        return (images.Count, folders.Count) switch
        {
            (0, 0) => throw new UserException(
                $"{Describe(root, variable)} holds no {ImageDecoder.Formats} images: choose a folder with images{Found(leftOut)}."),
            (0, _) => WithClasses(root, variable, folders, leftOut),
            (_, 0) => new ClassFolderDataset(root, variable, [], Flat(root, images), [], leftOut),
            _ => throw new UserException(
                $"{Describe(root, variable)} holds both images ({images[0]}) and folders ({folders[0]}): " +
                "move one kind elsewhere, so that it is clear whether folders are classes."),
        };
    }

    /// <inheritdoc />
    /// <remarks>
    /// SHA-256 over every image's relative path, its length, and its first and last 4096 bytes, as 64 hexadecimal digits. A
    /// change in the middle of a larger file that keeps its length is not noticed; reading all bytes of a large set would take
    /// longer than many experiments on it.
    /// </remarks>
    public override string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default) =>
        DatasetFingerprint.Compute(Root, Paths, skipUnreadable, cancellation);

    /// <inheritdoc />
    public override string Name(int index) => _paths[index];

    /// <inheritdoc />
    public override DecodedImage Load(int index) => ImageDecoder.Load(_paths[index], Decoding);

    private static (List<string> Images, List<string> Folders, LeftOutCounter LeftOut) ListRoot(string root, DataVariable? variable)
    {
        var leftOut = new LeftOutCounter();
        var listing = FolderListing.Read(root, Describe(root, variable));
        var images = ImageFiles.Take(listing, root, root, leftOut);
        var system = listing.Folders.FindAll(ImageFiles.IsOfSystem);
        system.ForEach(name => leftOut.Add("folders that the system left behind", name));
        return (images, [.. listing.Folders.Except(system)], leftOut);
    }

    private static PathList Flat(string root, List<string> images)
    {
        var paths = new PathList();
        paths.Add(root, images);
        return paths;
    }

    private static ClassFolderDataset WithClasses(string root, DataVariable? variable, List<string> folders, LeftOutCounter leftOut)
    {
        var paths = new PathList();
        var counts = new int[folders.Count];
        var enclosing = new HashSet<string>(StringComparer.Ordinal) { ImageFiles.RealPath(root) };
        for (var label = 0; label < folders.Count; label++)
        {
            var before = paths.Count;
            ImageFiles.AddTo(paths, Path.Combine(root, folders[label]), root, leftOut, enclosing);
            counts[label] = paths.Count - before;
        }

        return paths.Count > 0
            ? new ClassFolderDataset(root, variable, folders, paths, [.. counts.SelectMany((count, label) => Enumerable.Repeat(label, count))], leftOut)
            : throw new UserException(
                $"{Describe(root, variable)} holds {InWords(folders.Count, "class folder")} without a single {ImageDecoder.Formats} image: add images{Found(leftOut)}.");
    }

    private static string Found(LeftOutCounter leftOut) =>
        leftOut.Reasons.Count == 0 ? "" : $"; what it holds is left out ({string.Join("; ", leftOut.Reasons)})";

    private static string Describe(string root, DataVariable? variable) =>
        variable is null ? $"The folder {root}" : $"The folder {root} of {variable.Name}";
}

/// <summary>Hashes names, lengths and ends of files; see <see cref="ClassFolderDataset.ComputeFingerprint"/>.</summary>
internal static class DatasetFingerprint
{
    private const int EndLength = 4096;
    private const int Chunk = 8192;

    public static string Compute(string root, IReadOnlyList<string> paths, bool skipUnreadable, CancellationToken cancellation)
    {
        using var all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var options = new ParallelOptions { CancellationToken = cancellation };
        var digests = new byte[Math.Min(Chunk, paths.Count)][];
        for (var first = 0; first < paths.Count; first += Chunk)
        {
            var count = Math.Min(Chunk, paths.Count - first);
            try
            {
                Parallel.For(0, count, options, index => digests[index] = Digest(root, paths[first + index], skipUnreadable));
            }
            catch (AggregateException e) when (e.InnerExceptions.OfType<UserException>().FirstOrDefault() is { } bad)
            {
                throw new UserException(bad.Message, e);
            }

            for (var index = 0; index < count; index++)
            {
                all.AppendData(digests[index]);
            }
        }

        return Convert.ToHexStringLower(all.GetHashAndReset());
    }

    private static byte[] Digest(string root, string path, bool skipUnreadable)
    {
        // The same set has the same fingerprint on every system.
        var name = Encoding.UTF8.GetBytes(Path.GetRelativePath(root, path).Replace('\\', '/'));
        try
        {
            using var handle = File.OpenHandle(path);
            var length = RandomAccess.GetLength(handle);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            hash.AppendData(name);
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
            return skipUnreadable ? SHA256.HashData(name) : throw DecodingError.CannotBeRead(e, path);
        }
    }
}
