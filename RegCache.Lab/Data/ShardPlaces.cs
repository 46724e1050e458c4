using System.Globalization;

namespace RegCache.Lab.Data;

/// <summary>Which shards an address means: names with braces and <c>::</c>, or a folder with shards or with splits that hold them.</summary>
/// <param name="Source">What messages call them.</param>
/// <param name="Shards">The shards, in order.</param>
/// <param name="Folders">Where files about them lie, the nearest first.</param>
/// <param name="Surplus">Shards in the folder that its <c>nshards.txt</c> does not count.</param>
internal sealed record ShardPlaces(string Source, IReadOnlyList<string> Shards, IReadOnlyList<string> Folders, List<string> Surplus)
{
    private const string CountFile = "nshards.txt";
    private static readonly string[] _extensions = [".tar", ".tar.gz", ".tgz"];

    // CLIP_benchmark evaluates on test.
    private static readonly string[] _usualSplits = ["test", "val", "validation"];

    /// <summary>Whether a path is a shard, stands for shards, or is a folder with shards or with splits that hold them.</summary>
    public static bool Recognises(string path)
    {
        if (!Directory.Exists(path))
        {
            return IsShard(path) && (path.Contains('{', StringComparison.Ordinal) || path.Contains("::", StringComparison.Ordinal) || File.Exists(path));
        }

        // An archive may well lie beside the images that came out of it.
        var listing = FolderListing.Read(path, $"The folder {path}");
        return (listing.Folders.Count == 0 && listing.Files.Exists(IsShard) && !listing.Files.Exists(ImageFiles.IsImage))
            || listing.Folders.Exists(folder => File.Exists(Path.Join(path, folder, CountFile)));
    }

    /// <summary>The shards of a request.</summary>
    /// <exception cref="UserException">There are none, one is missing, or there is no such split.</exception>
    public static ShardPlaces Find(ImageSetRequest request)
    {
        var path = request.Path;
        if (Directory.Exists(path))
        {
            return InFolder(path, request.Split);
        }

        if (request.Split is { } split)
        {
            throw new UserException($"shards@{split}:{path} does not name a folder: only a folder of shards has splits.");
        }

        var shards = ShardNames.Expand(path);
        if (shards.FirstOrDefault(shard => !File.Exists(shard) && !Directory.Exists(shard)) is { } missing)
        {
            throw new UserException($"The shard {missing} does not exist: correct the path or the range{(missing == path ? "" : $" {path}")}.");
        }

        var folder = Path.GetDirectoryName(Path.GetFullPath(shards[0]))!;
        return new(TarShards.Describe(shards), shards, [folder, .. Above(folder)], []);
    }

    private static ShardPlaces InFolder(string root, string? wanted)
    {
        var splits = Splits(root);
        var split = wanted ?? (In(root).Count > 0 ? "" : splits is [var only] ? only : _usualSplits.FirstOrDefault(splits.Contains));
        if (split is null || (wanted is not null && !splits.Contains(wanted)))
        {
            throw splits.Count == 0 ? new UserException($"The folder {root} holds no tar shards{(wanted is null ? "" : $" in a folder {wanted}")}: choose a folder with files {string.Join(", ", _extensions)}.")
                : wanted is null ? new UserException($"The folder {root} holds the splits {string.Join(", ", splits)}: choose one, like shards@{splits[0]}:{root}.")
                : LabelledShards.Entry.NoSplit(wanted, splits);
        }

        var folder = Path.TrimEndingDirectorySeparator(Path.Join(root, split));
        var present = In(folder);
        var (shards, surplus) = Counted(folder, present);
        return new($"{folder} ({shards.Count} {(shards.Count == 1 ? "shard" : "shards")})", shards, [folder, .. Above(Path.GetFullPath(folder))], surplus);
    }

    // CLIP_benchmark's shards are 0.tar, 1.tar and so on, as many as nshards.txt says.
    private static (IReadOnlyList<string> Shards, List<string> Surplus) Counted(string folder, List<string> present)
    {
        var file = Path.Join(folder, CountFile);
        if (!File.Exists(file))
        {
            return (present, []);
        }

        var text = ClassNameFile.Lines(file)[0];
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count < 1)
        {
            throw new UserException($"{file} holds '{text}' where the number of shards belongs: correct or remove it.");
        }

        return present.Count < count
            ? throw new UserException($"{folder} holds {present.Count} shards where {CountFile} says {count}{Missing(folder, count)}: fetch the others.")
            : (present[..count], present[count..]);
    }

    private static string Missing(string folder, int count) =>
        Enumerable.Range(0, count).Select(number => $"{number}.tar").FirstOrDefault(name => !File.Exists(Path.Join(folder, name))) is { } missing
            ? $" ({missing} is missing)"
            : "";

    // By length first, so that 10.tar comes behind 9.tar.
    private static List<string> In(string folder) =>
        Directory.Exists(folder)
            ? [.. FolderListing.Read(folder, $"The folder {folder}").Files.Where(IsShard).OrderBy(name => name.Length).Select(name => Path.Join(folder, name))]
            : [];

    private static List<string> Splits(string root) =>
        [.. FolderListing.Read(root, $"The folder {root}").Folders.Where(folder => In(Path.Join(root, folder)).Count > 0)];

    private static IEnumerable<string> Above(string folder) => Path.GetDirectoryName(folder) is { } above ? [above] : [];

    private static bool IsShard(string name) => _extensions.Any(extension => name.EndsWith(extension, StringComparison.OrdinalIgnoreCase));
}
