using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Manifests;

/// <summary>
/// What reads the splits that manifests describe. A new kind of data set is a new file with its reader, one line here, and a
/// manifest that names it.
/// </summary>
public static class DatasetReaders
{
    /// <summary>All readers.</summary>
    public static OpenList<DatasetReader> All { get; } = new(
        "reader",
        new DatasetReader(
            "class-folders",
            "one folder of images a class; counts classes, images, smallest_class, largest_class",
            (place, _) => DatasetContent.Of(ClassFolderDataset.OpenClasses(place.Path))),
        new DatasetReader(
            "images",
            "images in class folders or in the folder itself; counts images, and classes where there are some",
            (place, _) => DatasetContent.Of(ClassFolderDataset.Open(place.Path))),
        new DatasetReader(
            "webdataset",
            "image-text pairs in tar shards; counts shards, images, captions",
            (place, _) =>
            {
                var shards = ShardNames.Expand(place.Path);
                var content = DatasetContent.Of(new WebDatasetSource(shards));
                return content with { Counts = new Dictionary<string, long>(content.Counts) { ["shards"] = shards.Count } };
            }),
        LetterText.Entry,
        new DatasetReader(
            "shapes",
            "the kit's generated pictures; counts images, captions, and classes where each picture has one",
            (place, cancellation) =>
            {
                var split = Enum.Parse<ShapesSplit>(place.Split.Name, ignoreCase: true);
                var images = new ShapesImages(ShapesSet.Generate(split, ShapesSet.DefaultCount(split), cancellation: cancellation));
                var content = DatasetContent.Of(images);
                return content with { Counts = new Dictionary<string, long>(content.Counts) { ["captions"] = images.Count } };
            })
        {
            IsGenerated = true,
        });
}

/// <summary>A reader of splits.</summary>
/// <param name="Name">The name that manifests give.</param>
/// <param name="Help">What it reads and counts, in one line.</param>
/// <param name="Open">
/// Lists a split without decoding images; the result is disposed. Throws <see cref="UserException"/> for one that is missing or broken.
/// </param>
public sealed record DatasetReader(string Name, string Help, Func<DatasetPlace, CancellationToken, DatasetContent> Open) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>Whether the split is made when it is needed and lies nowhere.</summary>
    public bool IsGenerated { get; init; }
}

/// <summary>What lies on disk of a split.</summary>
/// <param name="Counts">How much of what there is.</param>
/// <param name="Inventory">What was found, left out, and looks wrong.</param>
public sealed record DatasetContent(IReadOnlyDictionary<string, long> Counts, DataInventory Inventory) : IDisposable
{
    /// <summary>The images, if it has some.</summary>
    public IImageItems? Images { get; init; }

    /// <summary>Whether names of images are paths of files, so that a glance at them is cheap.</summary>
    public bool ImagesAreFiles { get; init; }

    /// <summary>What a set of images holds: images, and of its classes their number and the sizes of the smallest and the largest.</summary>
    public static DatasetContent Of(ImageSet set)
    {
        var counts = new Dictionary<string, long> { ["images"] = set.Count };
        if (set.ClassNames.Count > 0)
        {
            var sizes = new long[set.ClassNames.Count];
            foreach (var label in set.Labels)
            {
                sizes[label]++;
            }

            counts["classes"] = sizes.Length;
            counts["smallest_class"] = sizes.Min();
            counts["largest_class"] = sizes.Max();
        }

        return new(counts, set.Inventory) { Images = set, ImagesAreFiles = set is ClassFolderDataset };
    }

    /// <summary>What image-text pairs hold: as many images as captions.</summary>
    public static DatasetContent Of(IPairSource pairs) =>
        new(new Dictionary<string, long> { ["images"] = pairs.Count, ["captions"] = pairs.Count }, pairs.Inventory) { Images = pairs };

    /// <inheritdoc />
    public void Dispose() => (Images as IDisposable)?.Dispose();
}

/// <summary>Files of plain text, read once from beginning to end.</summary>
internal static class LetterText
{
    private const int MostNamed = 5;

    /// <summary>The entry in the list of readers.</summary>
    public static DatasetReader Entry { get; } = new(
        "text", "a text of the letters a to z and spaces; counts characters and symbols", (place, cancellation) => Read(place.Path, cancellation));

    private static DatasetContent Read(string path, CancellationToken cancellation)
    {
        var counts = new long[256];
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
            var buffer = new byte[1 << 20];
            for (int length; (length = file.Read(buffer)) > 0;)
            {
                cancellation.ThrowIfCancellationRequested();
                foreach (var symbol in buffer.AsSpan(0, length))
                {
                    counts[symbol]++;
                }
            }
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The text {path} cannot be read");
        }

        var strange = Enumerable.Range(0, 256).Where(symbol => counts[symbol] > 0 && symbol != ' ' && !char.IsAsciiLetterLower((char)symbol)).ToList();
        string[] warnings = strange.Count == 0
            ? []
            : [$"{path} holds {strange.Sum(symbol => counts[symbol])} bytes that are no small letter and no space ({string.Join(", ", strange.Take(MostNamed).Select(symbol => $"0x{symbol:X2}"))}{(strange.Count > MostNamed ? ", ..." : "")}): it is another text, or was changed on the way."];
        var found = new Dictionary<string, long> { ["characters"] = counts.Sum(), ["symbols"] = counts.Count(count => count > 0) };
        return new(found, new(path, $"{found["characters"]} characters", [], warnings));
    }
}
