using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;

namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// The sets on which retrieval is measured, each with the layout in which it is published. A new one is a new file with its reader and
/// its entry, and one line here.
/// </summary>
public static class RetrievalFormats
{
    /// <summary>All sets.</summary>
    public static OpenList<RetrievalFormat> All { get; } = new(
        "retrieval set",
        CocoCaptions.Entry,
        KarpathySplits.Entry,
        Flickr30k.Entry,
        DescribedImages.Docci,
        DescribedImages.Urban1k,
        DescribedImages.ImageInWords,
        ImageInWordsLong.Entry,
        DenselyCaptionedImages.Entry,
        ShareGpt4V.Thousand,
        ShareGpt4V.TenThousand,
        RetrievalShards.Entry,
        RetrievalShapes.Entry,
        RetrievalShapes.Long);
}

/// <summary>A set on which retrieval is measured.</summary>
/// <param name="Name">The name by which it is asked for.</param>
/// <param name="Help">What it is and what lies in its folder, in one line.</param>
/// <param name="Variable">What names its folder; null: nothing does.</param>
/// <param name="Splits">Its parts; the first is the usual one.</param>
/// <param name="Read">Lists a part. Throws <see cref="UserException"/> for one that is missing or broken.</param>
public sealed record RetrievalFormat(
    string Name, string Help, DataVariable? Variable, IReadOnlyList<string> Splits, Func<RetrievalRequest, RetrievalSet> Read) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>What it is called in the names of metrics (<c>retrieval_coco_text_to_image_R@1</c>).</summary>
    public string MetricName { get; init; } = Name;

    /// <summary>What CLIP_benchmark calls a part of it.</summary>
    public Func<string, string> BenchmarkName { get; init; } = _ => Name;

    /// <summary>Whether a part may have any name, which its files then have, too.</summary>
    public bool TakesAnySplit { get; init; }

    /// <summary>Whether it is made when it is needed and lies nowhere.</summary>
    public bool IsGenerated { get; init; }

    /// <summary>Its images as a set without labels; a path that is left out is the one that its environment variable names.</summary>
    public ImageSetFormat AsImages => new(
        Name,
        Help,
        _ => false,
        request => Open(request.Path.Length > 0 ? request.Path : null, request.Split, decoding: request.Decoding, cancellation: request.Cancellation));

    /// <summary>Opens a part of the set.</summary>
    /// <param name="root">Its folder; null: the one that its environment variable names.</param>
    /// <param name="split">The part; null: the usual one.</param>
    /// <param name="skipBadImages">Keep images in the set that are missing; who reads it leaves them out.</param>
    /// <param name="decoding">Which image files are taken; null: the defaults.</param>
    /// <param name="cancellation">Stops the listing.</param>
    /// <returns>The set, which the caller disposes.</returns>
    /// <exception cref="UserException">The folder is not named or missing, there is no such part, or the annotations or images are broken.</exception>
    public RetrievalSet Open(
        string? root = null, string? split = null, bool skipBadImages = false, DecodingOptions? decoding = null, CancellationToken cancellation = default)
    {
        decoding ??= DecodingOptions.Default;
        var set = Read(new(this, FindRoot(root), FindSplit(split)) { SkipBadImages = skipBadImages, Decoding = decoding, Cancellation = cancellation });
        set.Decoding = decoding;
        return set;
    }

    /// <summary>The part that a name means.</summary>
    /// <exception cref="UserException">There is none of that name.</exception>
    public string FindSplit(string? split) =>
        split is null ? Splits[0]
        : TakesAnySplit || Splits.Contains(split) ? split
        : throw new UserException($"The set {Name} has no split '{split}': it must be one of {string.Join(", ", Splits)} (--split).");

    private string FindRoot(string? root)
    {
        if (IsGenerated)
        {
            return root is null ? "" : throw new UserException($"The set {Name} is generated and lies in no folder: leave out --root {root}.");
        }

        var variable = Variable is null ? null : Environment.GetEnvironmentVariable(Variable.Name);
        var place = root ?? (variable is { Length: > 0 } ? variable : null)
            ?? throw new UserException(Variable is null
                ? $"Say where the set {Name} lies: give --root."
                : $"{Variable.Name} ({Variable.Content}) is not set: set it or give {Variable.Option} FOLDER.");
        return Variable is null || Directory.Exists(place) ? place
            : throw new UserException(
                $"{(root is null ? Variable.Name : Variable.Option)} ({Variable.Content}) names the folder {place}, which does not exist: correct it.");
    }
}

/// <summary>How a set is named where several are asked for: <c>NAME</c>, <c>NAME@SPLIT</c>, <c>NAME:FOLDER</c> or <c>NAME@SPLIT:FOLDER</c>.</summary>
/// <param name="Format">The set.</param>
/// <param name="Split">Its part, checked; null: the usual one.</param>
/// <param name="Root">Its folder; null: the one that its environment variable names.</param>
public sealed record RetrievalAddress(RetrievalFormat Format, string? Split = null, string? Root = null)
{
    /// <summary>The part that is meant.</summary>
    public string Part => Format.FindSplit(Split);

    /// <summary>Reads the text.</summary>
    /// <exception cref="UserException">There is no such set, or it has no such part.</exception>
    public static RetrievalAddress Parse(string text)
    {
        var (head, root) = text.Split(':', 2) is [var before, var after] ? (before, after) : (text, null);
        var (name, split) = head.Split('@', 2) is [var first, var second] ? (first, second) : (head, null);
        var format = RetrievalFormats.All.Find(name);
        format.FindSplit(split);
        return root is { Length: 0 }
            ? throw new UserException($"'{text}' names no folder behind its colon: write {name}:FOLDER, or {name} alone.")
            : new(format, split, root);
    }

    /// <summary>Opens the set; the caller disposes it.</summary>
    /// <param name="skipBadImages">Keep images in the set that are missing; who reads it leaves them out.</param>
    /// <param name="decoding">Which image files are taken.</param>
    /// <param name="cancellation">Stops the listing.</param>
    /// <exception cref="UserException">The set is missing or broken.</exception>
    public RetrievalSet Open(bool skipBadImages = false, DecodingOptions? decoding = null, CancellationToken cancellation = default) =>
        Format.Open(Root, Split, skipBadImages, decoding, cancellation);

    /// <summary>The set's name, with its part where that is not the usual one.</summary>
    public override string ToString() => Part == Format.Splits[0] ? Format.Name : $"{Format.Name}@{Part}";
}

/// <summary>Which part of a set to list.</summary>
/// <param name="Format">The set.</param>
/// <param name="Root">Its folder.</param>
/// <param name="Split">The part.</param>
public sealed record RetrievalRequest(RetrievalFormat Format, string Root, string Split)
{
    /// <summary>Keep images in the set that are missing.</summary>
    public bool SkipBadImages { get; init; }

    /// <summary>Which image files are taken.</summary>
    public DecodingOptions Decoding { get; init; } = DecodingOptions.Default;

    /// <summary>Stops the listing.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>The first of some files or folders, relative to the root, that is there; null: none is.</summary>
    internal string? FindFirst(params IEnumerable<string> candidates) => candidates.Select(name => Path.Combine(Root, name)).FirstOrDefault(Path.Exists);

    /// <summary>The same, where one must be there.</summary>
    /// <exception cref="UserException">None is; the sentence names them and the set's layout.</exception>
    internal string Require(params IReadOnlyList<string> candidates) => FindFirst(candidates)
        ?? throw new UserException($"{Root} lacks {string.Join(" or ", candidates)}; the set {Format.Name} is {Format.Help}.");
}

/// <summary>Image-text pairs in tar shards as a set for retrieval.</summary>
public static class RetrievalShards
{
    /// <summary>The entry in the list of sets.</summary>
    public static RetrievalFormat Entry { get; } = new(
        "webdataset", "your own pairs in tar shards, which --root names: 'shards/{000..009}.tar'", null, ["all"], Read);

    private static RetrievalPairs Read(RetrievalRequest request)
    {
        var shards = ShardNames.Expand(request.Root);
        return shards.FirstOrDefault(shard => !File.Exists(shard)) is { } missing
            ? throw new UserException($"The shard {missing} does not exist: correct the path or the range (--root).")
            : new(new WebDatasetSource(shards, request.Decoding, cancellation: request.Cancellation));
    }
}

/// <summary>The generated pictures as a set for retrieval.</summary>
public static class RetrievalShapes
{
    /// <summary>The entry in the list of sets.</summary>
    public static RetrievalFormat Entry { get; } = Make(ShapesImages.PairName, "generated pictures of coloured shapes, one caption each, with nothing on disk");

    /// <summary>The entry of the same pictures with long captions.</summary>
    public static RetrievalFormat Long { get; } = Make(ShapesImages.LongPairName, "the same pictures, each with a long caption of several sentences");

    private static RetrievalFormat Make(string name, string help) => new(name, help, null, ["retrieval", "calibration", "validation", "test"], request =>
    {
        var split = Enum.Parse<ShapesSplit>(request.Split, ignoreCase: true);
        return new RetrievalPairs(ShapesImages.FindPairs(name, split, ShapesSet.DefaultCount(split), request.Cancellation)!);
    })
    {
        IsGenerated = true,
    };
}
