using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Images wherever their bytes lie: files, members of tar shards, records of one large file. One reader,
/// <see cref="ImageBatchReader"/>, decodes and pre-processes all of them. May be read from several threads.
/// </summary>
public interface IImageItems
{
    /// <summary>Number of images.</summary>
    int Count { get; }

    /// <summary>What an image is called in messages: a path, or a shard and a member.</summary>
    string Name(int index);

    /// <summary>Decodes an image; the caller disposes it.</summary>
    /// <exception cref="UserException">The image is missing or damaged; the message names it.</exception>
    DecodedImage Load(int index);
}

/// <summary>Image files.</summary>
/// <param name="paths">Their paths.</param>
/// <param name="decoding">Which of them are taken; null: the defaults.</param>
public sealed class ImageFileItems(IReadOnlyList<string> paths, DecodingOptions? decoding = null) : IImageItems
{
    /// <inheritdoc />
    public int Count => paths.Count;

    /// <inheritdoc />
    public string Name(int index) => paths[index];

    /// <inheritdoc />
    public DecodedImage Load(int index) => ImageDecoder.Load(paths[index], decoding);
}

/// <summary>
/// A set of images as it lies on disk: listed, labelled if its format has labels, and not decoded yet. A format is a class that
/// derives from this one and a line in <see cref="ImageSetFormats"/>.
/// </summary>
public abstract class ImageSet : IImageItems, IDisposable
{
    private const int MostNames = 5;

    /// <inheritdoc />
    public abstract int Count { get; }

    /// <summary>Names of the classes, in the order of the labels; empty for a set without labels.</summary>
    public IReadOnlyList<string> ClassNames { get; protected init; } = [];

    /// <summary>
    /// What classes are called after where <see cref="ClassNames"/> are no words that a prompt could use: "their folders"; null: they are words.
    /// </summary>
    public string? ClassesCalledAfter { get; protected init; }

    /// <summary>Prompt templates that come with the set, with "{}" for the class name; empty where none do.</summary>
    public IReadOnlyList<string> Templates { get; protected init; } = [];

    /// <summary>The class of every image; empty for a set without labels.</summary>
    public IReadOnlyList<int> Labels { get; protected init; } = [];

    /// <summary>The classes without an image; each keeps its label, because a sample need not show every class.</summary>
    public IReadOnlyList<string> EmptyClasses
    {
        get
        {
            var filled = Labels.ToHashSet();
            return [.. ClassNames.Where((_, label) => !filled.Contains(label))];
        }
    }

    /// <summary>How many classes there are, and which of them have no images.</summary>
    public virtual string ClassesInWords =>
        InWords(ClassNames.Count, ClassNoun) + (EmptyClasses.Count == 0 ? "" : $" (without images: {Some(EmptyClasses)})");

    /// <summary>What was found, and what was left out and why.</summary>
    public abstract DataInventory Inventory { get; }

    /// <summary>Which image files are taken; <see cref="Load"/> hands it to <see cref="ImageDecoder"/>.</summary>
    public DecodingOptions Decoding { get; set; } = DecodingOptions.Default;

    /// <summary>What a class is called: "class folder" where folders are classes.</summary>
    protected virtual string ClassNoun => "class";

    /// <inheritdoc />
    public abstract string Name(int index);

    /// <summary>What <see cref="ImageOrder.Name"/> sorts by.</summary>
    public virtual string SortKey(int index) => Path.GetFileName(Name(index));

    /// <inheritdoc />
    public abstract DecodedImage Load(int index);

    /// <summary>Identifies the images, their order and their labels, in hexadecimal digits.</summary>
    /// <param name="skipUnreadable">Take the name alone of an image that cannot be read, instead of refusing the set.</param>
    /// <param name="cancellation">Stops the reading.</param>
    /// <exception cref="UserException">An image cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public abstract string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default);

    /// <summary>Refuses a set whose classes are not those of another one.</summary>
    /// <param name="expected">The class names that must be there, in order.</param>
    /// <returns>What had to be assumed, because one set knows as many classes by numbers or WordNet ids and the other by names; null: nothing.</returns>
    /// <exception cref="UserException">They are others; the message names one that is missing or surplus.</exception>
    public string? RequireClasses(IReadOnlyList<string> expected)
    {
        if (ClassNames.SequenceEqual(expected))
        {
            return null;
        }

        var (kind, expectedKind) = (ClassNaming.Of(ClassNames), ClassNaming.Of(expected));
        if (ClassNames.Count == expected.Count && kind != expectedKind)
        {
            return $"{Inventory.Source} knows its classes by {kind} ({Some(ClassNames)}), the other set by {expectedKind} ({Some(expected)}): " +
                "they are taken to be the same ones in the same order.";
        }

        var difference = expected.Except(ClassNames).FirstOrDefault() is { } missing ? $"{missing} is missing"
            : ClassNames.Except(expected).FirstOrDefault() is { } surplus ? $"{surplus} is not one of them"
            : "the expected names are not in sorted order";
        throw new UserException(
            $"{Inventory.Source} holds {InWords(ClassNames.Count, ClassNoun)} that are not the {expected.Count} expected ones ({difference}): " +
            "choose the set that belongs to the class names.");
    }

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes what the set holds open.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }

    /// <summary>A count with its noun: "1 class folder", "2 class folders".</summary>
    protected static string InWords(int count, string noun) =>
        $"{count} {noun}{(count == 1 ? "" : noun.EndsWith('s') ? "es" : "s")}";

    /// <summary>The first of some names.</summary>
    protected static string Some(IReadOnlyList<string> names) =>
        string.Join(", ", names.Take(MostNames)) + (names.Count > MostNames ? ", ..." : "");
}
