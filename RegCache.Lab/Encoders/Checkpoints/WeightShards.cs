using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// The files of weights that HuggingFace splits: <c>model-00001-of-00002.safetensors</c> and its like, with an index
/// <c>model.safetensors.index.json</c> whose <c>weight_map</c> says which tensor lies in which; the same with <c>pytorch_model</c> and <c>.bin</c>.
/// </summary>
/// <param name="Files">The paths of all shards, in order.</param>
/// <param name="Names">The tensors that the index lists; empty when there is none.</param>
internal sealed partial record WeightShards(IReadOnlyList<string> Files, IReadOnlyList<string> Names)
{
    /// <summary>What the name of an index ends with.</summary>
    public const string IndexExtension = ".index.json";

    /// <summary>The shards that an index, or one of them, belongs to; null for another path.</summary>
    /// <exception cref="UserException">The index is damaged, or a shard is missing.</exception>
    public static WeightShards? Find(string path)
    {
        if (path.EndsWith(IndexExtension, StringComparison.Ordinal))
        {
            return FromIndex(path);
        }

        var folder = Path.GetDirectoryName(path) ?? string.Empty;
        if (Shard().Match(Path.GetFileName(path)) is not { Success: true } shard)
        {
            return null;
        }

        var (stem, count, extension) = (shard.Groups[1].Value, shard.Groups[2].Value, shard.Groups[3].Value);
        var index = Path.Combine(folder, stem + extension + IndexExtension);
        return File.Exists(index)
            ? FromIndex(index)
            : new(Present(path, Enumerable.Range(1, int.Parse(count, CultureInfo.InvariantCulture)).Select(number => Path.Combine(folder, $"{stem}-{number:00000}-of-{count}{extension}"))), []);
    }

    /// <summary>The path of the whole file that a shard is a part of, without its extension; null for another path.</summary>
    public static string? Stem(string path) => Shard().Match(Path.GetFileName(path)) is { Success: true } shard
        ? Path.Combine(Path.GetDirectoryName(path) ?? string.Empty, shard.Groups[1].Value)
        : path.EndsWith(IndexExtension, StringComparison.Ordinal) ? Path.ChangeExtension(path[..^IndexExtension.Length], null) : null;

    /// <summary>The files whose bytes the weights of a path are made of.</summary>
    /// <exception cref="UserException">The index is damaged, or a shard is missing.</exception>
    public static IReadOnlyList<string> FilesOf(string path) => Find(path)?.Files ?? [path];

    private static WeightShards FromIndex(string path)
    {
        var map = new JsonFields(JsonFields.ReadFile(path), path).Get("weight_map") is { ValueKind: JsonValueKind.Object } value
            ? value.EnumerateObject().Select(entry => (entry.Name, File: entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : string.Empty)).ToList()
            : throw new UserException($"{path} is no index of weights: it has no object `weight_map`; fetch it again.");
        var foreign = map.Find(entry => entry.File is "" or "." or ".." || Path.GetFileName(entry.File) != entry.File);
        if (map.Count == 0 || foreign.Name is not null)
        {
            throw new UserException($"{path}: `weight_map` must name files beside it, and {(map.Count == 0 ? "is empty" : $"`{foreign.Name}` does not")}; fetch it again.");
        }

        var folder = Path.GetDirectoryName(path) ?? string.Empty;
        var files = map.Select(entry => entry.File).Distinct().Order(StringComparer.Ordinal).Select(file => Path.Combine(folder, file));
        return new(Present(path, files), [.. map.Select(entry => entry.Name)]);
    }

    private static List<string> Present(string path, IEnumerable<string> files)
    {
        var all = files.ToList();
        var missing = all.Where(file => !File.Exists(file)).ToList();
        return missing.Count == 0 ? all : throw new UserException(
            $"{path} is one part of weights in {all.Count} files, and {missing[0]} is missing{(missing.Count > 1 ? $" with {missing.Count - 1} others" : "")}; fetch all of them into one folder.");
    }

    [GeneratedRegex(@"^(.+)-[0-9]{5}-of-([0-9]{5})(\.[A-Za-z]+)$", RegexOptions.CultureInvariant)]
    private static partial Regex Shard();
}
