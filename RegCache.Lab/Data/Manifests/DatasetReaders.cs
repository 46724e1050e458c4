using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Manifests;

/// <summary>
/// What reads the splits that manifests describe: every format of images (<see cref="ImageSetFormats"/>), every set for retrieval
/// (<see cref="RetrievalFormats"/>), image-text pairs, and texts. So a new format is known to manifests, and a new data set in a
/// known format is a manifest alone.
/// </summary>
public static class DatasetReaders
{
    /// <summary>All readers.</summary>
    public static OpenList<DatasetReader> All { get; } = new(
        "reader",
        [
            .. ImageSetFormats.All.Select(Of),
            .. RetrievalFormats.All.Where(format => format.Variable is not null).Select(Of),
            new DatasetReader("pairs", "image-text pairs in tar shards, whose path may have braces; counts shards, images, captions", ReadPairs),
            LetterText.Entry,
        ]);

    /// <summary>The reader of a split.</summary>
    /// <exception cref="UserException">There is none of that name; the message gives the names that there are.</exception>
    public static DatasetReader Find(DatasetSplit split) => All.Find(NameIn(split));

    /// <summary>Whether a split is made when it is needed and lies nowhere.</summary>
    public static bool Generates(DatasetSplit split) => All.Any(reader => reader.IsGenerated && reader.Name == NameIn(split));

    private static string NameIn(DatasetSplit split) => split.Reader.Split('@')[0];

    private static DatasetReader Of(ImageSetFormat format) => new(format.Name, format.Help, (place, cancellation) =>
    {
        var needsLabels = place.Split.Counts.ContainsKey("classes");
        var set = format.Open(new(NeedsLabels: needsLabels, Cancellation: cancellation) { Path = place.Path, Split = place.ReaderSplit });
        set.Decoding = place.Decoding;
        return DatasetContent.Of(set);
    })
    {
        IsGenerated = format == ShapesImages.Entry,
    };

    // Images that are missing are kept: a check names every one of them.
    private static DatasetReader Of(RetrievalFormat format) => new(
        format.Name,
        format.Help,
        (place, cancellation) => DatasetContent.Of(format.Open(place.Path, place.ReaderSplit, skipBadImages: true, place.Decoding, cancellation)));

    private static DatasetContent ReadPairs(DatasetPlace place, CancellationToken cancellation)
    {
        var shards = ShardNames.Expand(place.Path);
        var pairs = new WebDatasetSource(shards, place.Decoding, cancellation: cancellation);
        return new(new Dictionary<string, long> { ["shards"] = shards.Count, ["images"] = pairs.Count, ["captions"] = pairs.Count }, pairs.Inventory) { Images = pairs };
    }
}

/// <summary>A reader of splits.</summary>
/// <param name="Name">The name that manifests give.</param>
/// <param name="Help">What it reads, in one line.</param>
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
    private const int MostNamesTried = 16;

    /// <summary>The images, if it has some.</summary>
    public IImageItems? Images { get; init; }

    /// <summary>Whether images are files by themselves, so that a glance at each is cheap.</summary>
    public bool ImagesAreFiles =>
        Images is { } images && Enumerable.Range(0, Math.Min(MostNamesTried, images.Count)).Any(index => File.Exists(images.Name(index)));

    /// <summary>What a set of images holds: images, of its classes their number and the sizes of the smallest and the largest, and captions.</summary>
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

            (counts["classes"], counts["smallest_class"], counts["largest_class"]) = (sizes.Length, sizes.Min(), sizes.Max());
        }

        if (set is IPairSource pairs)
        {
            counts["captions"] = pairs.Count;
        }
        else if (set is RetrievalSet retrieval)
        {
            counts["captions"] = retrieval.Captions.Count;
        }

        return new(counts, set.Inventory) { Images = set };
    }

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
