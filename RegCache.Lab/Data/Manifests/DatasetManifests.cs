using System.Collections;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Data.Manifests;

/// <summary>
/// All manifests: those that come with the kit, and those of a folder of the user's, which <c>REGCACHE_MANIFESTS</c> names. One of
/// the user's takes the place of the kit's of that name.
/// </summary>
public sealed class DatasetManifests : IReadOnlyList<DatasetManifest>
{
    /// <summary>The environment variable that names the user's folder.</summary>
    public const string FolderVariable = "REGCACHE_MANIFESTS";

    private const string Resources = "RegCache.Lab.Data.Manifests.";
    private static readonly Lazy<IReadOnlyList<DatasetManifest>> Embedded = new(LoadEmbedded);
    private readonly List<DatasetManifest> _all;

    private DatasetManifests(IEnumerable<DatasetManifest> all) => _all = [.. all.OrderBy(manifest => manifest.Name, StringComparer.Ordinal)];

    /// <summary>The manifests that come with the kit.</summary>
    public static DatasetManifests OfTheKit { get; } = new(Embedded.Value);

    /// <inheritdoc />
    public int Count => _all.Count;

    /// <inheritdoc />
    public DatasetManifest this[int index] => _all[index];

    /// <summary>The kit's manifests and those of a folder.</summary>
    /// <param name="folder">The user's folder; null or empty: the one of <see cref="FolderVariable"/>, if any.</param>
    /// <exception cref="UserException">The folder does not exist, or a manifest in it is broken; the message names it.</exception>
    public static DatasetManifests Load(string? folder = null)
    {
        var named = string.IsNullOrEmpty(folder) ? Environment.GetEnvironmentVariable(FolderVariable) : folder;
        if (string.IsNullOrEmpty(named))
        {
            return OfTheKit;
        }

        if (!Directory.Exists(named))
        {
            throw new UserException($"The folder of manifests {named} does not exist: correct --manifests or {FolderVariable}.");
        }

        var own = Directory.EnumerateFiles(named, "*.json")
            .Where(file => !file.EndsWith(".schema.json", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(DatasetManifest.Load)
            .ToList();
        return new(Embedded.Value.ExceptBy(own.Select(manifest => manifest.Name), manifest => manifest.Name).Concat(own));
    }

    /// <summary>The manifest of that name.</summary>
    /// <exception cref="UserException">There is none; the message gives the names that there are.</exception>
    public DatasetManifest Find(string name) => _all.FirstOrDefault(manifest => manifest.Name == name)
        ?? throw new UserException(
            $"The data set '{name}' is unknown: it must be exactly one of {string.Join(", ", _all.Select(manifest => manifest.Name))}, or have a manifest in the folder of --manifests or {FolderVariable}.");

    /// <inheritdoc />
    public IEnumerator<DatasetManifest> GetEnumerator() => _all.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static IReadOnlyList<DatasetManifest> LoadEmbedded()
    {
        var assembly = typeof(DatasetManifests).Assembly;
        return
        [
            .. assembly.GetManifestResourceNames().Where(name => name.StartsWith(Resources, StringComparison.Ordinal)).Select(name =>
            {
                using var stream = assembly.GetManifestResourceStream(name)!;
                var content = new byte[stream.Length];
                stream.ReadExactly(content);
                return DatasetManifest.Parse(content, name[Resources.Length..]);
            }),
        ];
    }
}

/// <summary>Where a split lies on this machine, whether or not it is there.</summary>
/// <param name="Manifest">The data set.</param>
/// <param name="Split">The part of it.</param>
/// <param name="Root">The root of the data set; null: only the split's own variable is set.</param>
/// <param name="Path">The split's folder, file or shards.</param>
public sealed record DatasetPlace(DatasetManifest Manifest, DatasetSplit Split, string? Root, string Path)
{
    /// <summary>Which image files are taken.</summary>
    public DecodingOptions Decoding { get; init; } = DecodingOptions.Default;

    /// <summary>What the reader calls the split; null: its usual one.</summary>
    public string? ReaderSplit => Split.Reader.Split('@', 2) is [_, var name] ? name : null;

    /// <summary>Finds a split: below a given root, else where its own variable says, else below the data set's variable.</summary>
    /// <param name="manifest">The data set.</param>
    /// <param name="split">The part of it.</param>
    /// <param name="root">A root that overrides the environment, or null.</param>
    /// <param name="environment">The value of an environment variable, or null; empty counts as not set.</param>
    /// <returns>Null: nothing says where it is.</returns>
    public static DatasetPlace? Find(DatasetManifest manifest, DatasetSplit split, string? root, Func<string, string?> environment)
    {
        var below = Given(root) ?? Variable(manifest.Variable);
        return Given(root) is null && Variable(split.Variable) is { } own ? new(manifest, split, below, own)
            : below is null ? null
            : new(manifest, split, below, split.Path is null ? below : Choose(below, split.Path));

        string? Variable(string? name) => name is null ? null : Given(environment(name));

        static string? Given(string? text) => string.IsNullOrEmpty(text) ? null : text;
    }

    /// <summary>Of several places the first that is there, else the first.</summary>
    /// <param name="folder">The folder that they lie in.</param>
    /// <param name="places">Relative paths with <c>|</c> between them.</param>
    public static string Choose(string folder, string places)
    {
        var paths = places.Split('|').Select(place => System.IO.Path.Combine(folder, place)).ToList();
        return paths.FirstOrDefault(System.IO.Path.Exists) ?? paths[0];
    }

    /// <summary>Whether the split is there: its path, and all that it needs.</summary>
    public bool Exists => Missing is null;

    /// <summary>What is not there of the split, as a clause: "/data/coco does not exist"; null: nothing is missing. Of shards with braces the first counts.</summary>
    public string? Missing
    {
        get
        {
            if (!System.IO.Path.Exists(Path) && !(ShardNames.Expand(Path) is [var first, ..] && System.IO.Path.Exists(first)))
            {
                return $"{Path} does not exist";
            }

            var need = Split.Needs.FirstOrDefault(need => !System.IO.Path.Exists(Choose(Path, need)));
            return need is null ? null : $"{Path} has no {need.Replace("|", " or ", StringComparison.Ordinal)}";
        }
    }

    /// <summary>What to do when nothing says where a split is: "set DATA_ROOT or give --root FOLDER".</summary>
    public static string Remedy(DatasetManifest manifest, DatasetSplit split)
    {
        string?[] variables = [split.Variable, manifest.Variable];
        return variables.OfType<string>().ToList() is { Count: > 0 } named ? $"set {string.Join(" or ", named)}, or give --root FOLDER" : "give --root FOLDER";
    }
}
