using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// A file beside a data set that says which classes there are, in the order of their numbers: a name a line (<c>classnames.txt</c>,
/// <c>classes.txt</c>), a WordNet id a line with or without words behind it (<c>synsets.txt</c>, <c>synset_words.txt</c>,
/// <c>LOC_synset_mapping.txt</c>), or JSON (<c>imagenet_class_index.json</c>). Where there are ids the ids are the names, as those of
/// class folders are.
/// </summary>
/// <param name="Path">The file.</param>
/// <param name="Names">The classes.</param>
internal sealed record ClassNameFile(string Path, IReadOnlyList<string> Names)
{
    private const int MostBytes = 16 << 20;

    private static readonly UTF8Encoding _strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static readonly (string Name, Func<string, IReadOnlyList<string>> Read)[] _known =
    [
        ("classnames.txt", Lines),
        ("classes.txt", Lines),
        ("synsets.txt", Ids),
        ("synset_words.txt", Ids),
        ("LOC_synset_mapping.txt", Ids),
        ("imagenet_class_index.json", Index),
    ];

    /// <summary>The names of such files, for messages.</summary>
    public static string KnownNames { get; } = string.Join(", ", _known.Select(known => known.Name));

    /// <summary>Finds the file that belongs to a set.</summary>
    /// <param name="folders">Where it may lie, the nearest first. The first folder with such a file decides.</param>
    /// <returns>Null: there is none.</returns>
    /// <exception cref="UserException">It cannot be read, or files in one folder contradict each other.</exception>
    public static ClassNameFile? Find(IEnumerable<string?> folders)
    {
        foreach (var folder in folders.OfType<string>().Distinct())
        {
            ClassNameFile[] found =
            [
                .. _known.Select(known => (Path: System.IO.Path.Join(folder, known.Name), known.Read))
                    .Where(known => File.Exists(known.Path))
                    .Select(known => new ClassNameFile(known.Path, known.Read(known.Path))),
            ];
            foreach (var (number, file) in found.Index())
            {
                if (found[..number].FirstOrDefault(other => !Agree(other.Names, file.Names)) is { } other)
                {
                    throw new UserException($"{other.Path} and {file.Path} name the classes differently: keep the one that belongs to the labels.");
                }
            }

            if (found.Length > 0)
            {
                return found[0];
            }
        }

        return null;
    }

    /// <summary>The lines of a small text file without the spaces around them, the empty ones at the end left out.</summary>
    /// <exception cref="UserException">It cannot be read, is not UTF-8, or has an empty line between others.</exception>
    public static IReadOnlyList<string> Lines(string path)
    {
        string[] lines = [.. Text(path).TrimEnd().Split('\n').Select(line => line.Trim())];
        return Array.IndexOf(lines, "") is >= 0 and var empty
            ? throw new UserException($"{path}: line {empty + 1} is empty where a class or a template belongs.")
            : lines;
    }

    private static string[] Ids(string path)
    {
        string[] ids = [.. Lines(path).Select(line => line.Split([' ', '\t', ','], 2)[0])];
        var seen = new HashSet<string>();
        return ids.FirstOrDefault(id => !seen.Add(id)) is { } twice ? throw new UserException($"{path} lists the class {twice} twice.") : ids;
    }

    // {"0": ["n01440764", "tench"], ...}
    private static string[] Index(string path)
    {
        var fields = new JsonFields(JsonFields.Parse(Encoding.UTF8.GetBytes(Text(path)), path), path);
        var ids = new List<string>();
        while (fields.Get($"{ids.Count}") is { } entry)
        {
            ids.Add(entry.ValueKind == JsonValueKind.Array && entry.GetArrayLength() > 0 && entry[0].ValueKind == JsonValueKind.String
                ? entry[0].GetString()!
                : throw fields.Wrong($"{ids.Count}", "must be an array of a WordNet id and a name"));
        }

        return ids.Count > 0 ? [.. ids] : throw new UserException($"{path} lists no class: its fields must be 0, 1, 2 and so on.");
    }

    private static string Text(string path)
    {
        try
        {
            return _strictUtf8.GetString(SmallFile.Read(path, MostBytes, "a list of classes")).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException exception)
        {
            throw new UserException($"{path} is not UTF-8: convert it.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The file {path} cannot be read");
        }
    }

    // Ids and words may well lie side by side for the same classes.
    private static bool Agree(IReadOnlyList<string> some, IReadOnlyList<string> others) =>
        some.Count == others.Count && (ClassNaming.Of(some) != ClassNaming.Of(others) || some.SequenceEqual(others));
}

/// <summary>By what a set knows its classes.</summary>
internal static partial class ClassNaming
{
    /// <summary>What class names are: "numbers", "WordNet ids" or "names".</summary>
    public static string Of(IReadOnlyList<string> classes) =>
        classes.All(name => Number().IsMatch(name)) ? "numbers"
        : classes.All(name => WordNetId().IsMatch(name)) ? "WordNet ids"
        : "names";

    /// <summary>Names of classes that have none: their numbers.</summary>
    public static string[] Numbers(int count) => [.. Enumerable.Range(0, count).Select(label => $"{label}")];

    [GeneratedRegex("^[0-9]+$")]
    private static partial Regex Number();

    [GeneratedRegex("^n[0-9]{8}$")]
    private static partial Regex WordNetId();
}
