using System.Text.RegularExpressions;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Finds the tensors of a CLIP model in a checkpoint by how their names end: whatever dicts and modules lie around the model
/// (<c>state_dict</c>, <c>model_ema</c>, <c>module.</c>, <c>_orig_mod.</c>, ...) are a prefix of them all.
/// </summary>
internal static partial class ClipWeights
{
    /// <summary>Stands for a model that no prefix is before.</summary>
    public const string Root = ".";

    private const string Compiled = "_orig_mod.";
    private const string OpenClipTower = "visual.";
    private const string HuggingFaceTower = "vision_model.";
    private const int Shown = 4;

    // What every vision tower has, and a second tensor that tells it from other things with a convolution.
    private static readonly (string Tower, string Patches, string Witness)[] Towers =
    [
        (OpenClipTower, "conv1.weight", "class_embedding"),
        (OpenClipTower, "conv1.weight", "attnpool.positional_embedding"),
        (HuggingFaceTower, "embeddings.patch_embedding.weight", "embeddings.class_embedding"),
    ];

    /// <summary>The tensors of the model, under their names in it. Where no vision tower is found, all tensors of the file.</summary>
    /// <param name="file">The checkpoint.</param>
    /// <param name="key">The prefix of the model, or its beginning; null: the only one.</param>
    /// <exception cref="UserException">The file holds several models, or none under <paramref name="key"/>.</exception>
    public static StateDict Of(WeightFile file, string? key)
    {
        var tensors = file.Tensors.Select(entry => entry.Rename(Plain(entry.Name))).ToList();
        var unreadable = new Dictionary<string, string>();
        foreach (var (name, type) in file.Unreadable)
        {
            unreadable.TryAdd(Plain(name), type);
        }

        var places = Find(tensors.Select(entry => entry.Name).Concat(unreadable.Keys).ToHashSet());
        return Choose(file.Path, [.. places.Select(place => place.Prefix)], key) is { } index
            ? Collect(file.Path, places, places[index], tensors, unreadable)
            : new(file.Path, tensors) { Unreadable = unreadable };
    }

    // Names as if nothing had been compiled, and no tower inside a model had been made parallel on its own.
    private static string Plain(string name) => ParallelTower().Replace(name.Replace(Compiled, string.Empty, StringComparison.Ordinal), string.Empty);

    private static List<Place> Find(HashSet<string> names) =>
    [
        .. names
            .SelectMany(name => Towers
                .Where(tower => EndsWithName(name, tower.Patches))
                .Select(tower => (Prefix: name[..^tower.Patches.Length], tower.Tower, tower.Witness)))
            .Where(found => names.Contains(found.Prefix + found.Witness))
            .Select(found => EndsWithName(found.Prefix, found.Tower)
                ? new Place(found.Prefix[..^found.Tower.Length], string.Empty)
                : new Place(found.Prefix, found.Tower))
            .OrderBy(place => place.Prefix, StringComparer.Ordinal),
    ];

    /// <summary>Whether a dotted name ends with whole parts of another.</summary>
    public static bool EndsWithName(string name, string end) =>
        name.EndsWith(end, StringComparison.Ordinal) && (name.Length == end.Length || name[^(end.Length + 1)] == '.');

    /// <summary>One of the places where a checkpoint holds a model.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="prefixes">What the names of each model's tensors begin with.</param>
    /// <param name="key">The prefix of the wanted one, or its beginning; null: the only one.</param>
    /// <returns>Its index; null when there is none and none is asked for.</returns>
    /// <exception cref="UserException">There are several, or none at <paramref name="key"/>.</exception>
    public static int? Choose(string path, IReadOnlyList<string> prefixes, string? key)
    {
        if (key is null)
        {
            return prefixes.Count < 2 ? (prefixes.Count == 0 ? null : 0) : throw new UserException(
                $"{path} holds {prefixes.Count} models, at {Describe(prefixes)}; say which one (--weights-key).");
        }

        var start = key == Root ? string.Empty : Plain(key.TrimEnd('.') + ".");
        var all = Enumerable.Range(0, prefixes.Count);
        int[] exact = [.. all.Where(index => prefixes[index] == start)];
        int[] chosen = exact.Length > 0 || start.Length == 0 ? exact : [.. all.Where(index => prefixes[index].StartsWith(start, StringComparison.Ordinal))];
        return chosen switch
        {
            [var only] => only,
            [] => throw new UserException(
                $"{path} has no model at `{key}` (--weights-key){(prefixes.Count == 0 ? "" : $", but at {Describe(prefixes)}")}; correct the key."),
            _ => throw new UserException(
                $"{path} holds {chosen.Length} models at `{key}`: {Describe([.. chosen.Select(index => prefixes[index])])}; say which one (--weights-key)."),
        };
    }

    private static string Describe(IReadOnlyList<string> prefixes) =>
        string.Join(" and ", prefixes.Take(Shown).Select(prefix => $"`{(prefix.Length == 0 ? Root : prefix.TrimEnd('.'))}`")) + (prefixes.Count > Shown ? " and others" : "");

    private static StateDict Collect(
        string path, List<Place> places, Place place, List<WeightEntry> tensors, Dictionary<string, string> unreadable)
    {
        var found = new OrderedDictionary<string, WeightEntry>();
        foreach (var entry in tensors.Where(entry => entry.Name.StartsWith(place.Prefix, StringComparison.Ordinal)))
        {
            var name = place.Tower + entry.Name[place.Prefix.Length..];
            if (!found.TryAdd(name, entry.Rename(name)))
            {
                throw new UserException($"{path} holds two tensors that are both called {name}.");
            }
        }

        var others = unreadable
            .Where(pair => pair.Key.StartsWith(place.Prefix, StringComparison.Ordinal))
            .ToDictionary(pair => place.Tower + pair.Key[place.Prefix.Length..], pair => pair.Value);

        // A part may lie outside the prefix, as where only the vision tower runs in parallel; but not where another model begins.
        var outer = place.Tower.Length == 0 ? Outer(place.Prefix) : null;
        while (outer is not null && !places.Exists(other => other.Prefix == outer))
        {
            bool IsPart(string name) => name.StartsWith(outer, StringComparison.Ordinal) && IsOfClip(name[outer.Length..]);
            foreach (var entry in tensors.Where(entry => IsPart(entry.Name)))
            {
                var name = entry.Name[outer.Length..];
                found.TryAdd(name, entry.Rename(name));
            }

            foreach (var (name, type) in unreadable.Where(pair => IsPart(pair.Key)))
            {
                others.TryAdd(name[outer.Length..], type);
            }

            outer = Outer(outer);
        }

        return new(path, found.Values) { Unreadable = others };
    }

    private static string? Outer(string prefix) => prefix.Length == 0 ? null : prefix[..(prefix.TrimEnd('.').LastIndexOf('.') + 1)];

    private static bool IsOfClip(string name) =>
        name is "logit_scale" or "logit_bias" or "positional_embedding" or "text_projection" or "text_projection.weight" or "text_projection.bias" or "visual_projection.weight"
        || new[] { OpenClipTower, HuggingFaceTower, "transformer.resblocks.", "token_embedding.", "ln_final.", "text.", "text_model." }
            .Any(start => name.StartsWith(start, StringComparison.Ordinal));

    [GeneratedRegex(@"(?<=(^|\.)(visual|vision_model)\.)module\.", RegexOptions.CultureInvariant)]
    private static partial Regex ParallelTower();

    // The names of the model begin after the prefix; a tower that lies there on its own lacks its name in a model.
    private sealed record Place(string Prefix, string Tower);
}
