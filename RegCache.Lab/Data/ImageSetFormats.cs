using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// The formats in which images lie on disk, and how a set is named wherever one is asked for: by its path alone, whose format is
/// recognised, or as <c>FORMAT:PATH</c> or <c>FORMAT@SPLIT:PATH</c>. A new format is a new file with its <see cref="ImageSet"/>
/// and its entry, and one line here.
/// </summary>
public static class ImageSetFormats
{
    /// <summary>All formats. A path that none recognises is taken for class folders.</summary>
    public static OpenList<ImageSetFormat> All { get; } = new(
        "format of images",
        ShapesImages.Entry,
        CifarImages.Entry,
        LabelledShards.Entry,
        LabelledFolder.Entry,
        ClassFolderDataset.Entry);

    // The images of retrieval sets are images, too; they have no labels, so they serve to calibrate on.
    private static IEnumerable<ImageSetFormat> Named { get; } =
        [.. All, .. RetrievalFormats.All.Where(format => format.Variable is not null).Select(format => format.AsImages)];

    /// <summary>How a set is named, for help texts.</summary>
    public static string AddressHelp => $"a path, FORMAT:PATH or FORMAT@SPLIT:PATH with a format of {string.Join(", ", Named.Select(format => format.Name))}";

    /// <summary>Whether a text names a set by more than a folder: by a format, or by a path that a format recognises.</summary>
    public static bool Recognises(string address) => Split(address) is { Format: not null } || Recognise(address) is not null;

    /// <summary>Opens a set.</summary>
    /// <param name="address">Its path, <c>FORMAT:PATH</c> or <c>FORMAT@SPLIT:PATH</c>.</param>
    /// <param name="request">What is needed of it.</param>
    /// <returns>The set, listed; the caller disposes it.</returns>
    /// <exception cref="UserException">There is none, it is damaged, it has no labels although they are needed, or it has no such split.</exception>
    public static ImageSet Open(string address, ImageSetRequest request)
    {
        var (format, split, path) = Split(address);
        format ??= Recognise(address) ?? ClassFolderDataset.Entry;
        var set = format.Open(request with { Path = path, Split = split });
        set.Decoding = request.Decoding;
        if (request.NeedsLabels && set.Labels.Count == 0)
        {
            var source = set.Inventory.Source;
            set.Dispose();
            throw new UserException($"{source} has no labels, which this needs: choose a labelled set ({string.Join(", ", All.Select(entry => $"{entry.Name}: {entry.Help}"))}).");
        }

        return set;
    }

    private static ImageSetFormat? Recognise(string path) => All.FirstOrDefault(format => format.Recognises(path));

    // A path may hold colons; only the name of a format in front of one counts.
    private static (ImageSetFormat? Format, string? Split, string Path) Split(string address)
    {
        var colon = address.IndexOf(':');
        var head = (colon < 0 ? address : address[..colon]).Split('@', 2);
        return Named.FirstOrDefault(format => format.Name == head[0]) is { } found && (colon >= 0 || !Path.Exists(address))
            ? (found, head.Length > 1 ? head[1] : null, colon < 0 ? "" : address[(colon + 1)..])
            : (null, null, address);
    }
}

/// <summary>A format of image sets.</summary>
/// <param name="Name">The name in front of the colon.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Recognises">Whether a path that is given without a format is in this one; it may not exist.</param>
/// <param name="Open">Lists a set. Throws <see cref="UserException"/> for one that is missing, damaged or has no such split.</param>
public sealed record ImageSetFormat(string Name, string Help, Func<string, bool> Recognises, Func<ImageSetRequest, ImageSet> Open) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>The error for a split that the format does not have.</summary>
    public UserException NoSplit(string split, IEnumerable<string> known) =>
        new($"The format {Name} has no split '{split}': it must be one of {string.Join(", ", known)}.");
}

/// <summary>What is needed of a set.</summary>
/// <param name="Variable">What named the set, for messages; null: nothing did.</param>
/// <param name="NeedsLabels">Whether a set without labels is refused.</param>
/// <param name="Cancellation">Stops the listing.</param>
public sealed record ImageSetRequest(DataVariable? Variable = null, bool NeedsLabels = false, CancellationToken Cancellation = default)
{
    /// <summary>Told how far the listing is, where that takes long.</summary>
    public IWorkProgress Progress { get; init; } = SilentProgress.Instance;

    /// <summary>The path of the set; what it means, the format says.</summary>
    public string Path { get; init; } = "";

    /// <summary>The part of the set; null: the format's usual one.</summary>
    public string? Split { get; init; }

    /// <summary>Which image files are taken.</summary>
    public DecodingOptions Decoding { get; init; } = DecodingOptions.Default;
}
