using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Manifests;

/// <summary>
/// What the kit knows of a data set before it has seen it: where it comes from, how it lies on disk, and how much of it there
/// should be. A JSON file of <c>data-manifests/</c>, described by <c>dataset.schema.json</c> there and by docs/data.md. Facts that
/// nobody published are left out, not guessed.
/// </summary>
public sealed partial record DatasetManifest
{
    private const long LargestFile = 1 << 20;

    /// <summary>Where editors find the schema; the kit does not read it.</summary>
    [JsonPropertyName("$schema")]
    public string? Schema { get; init; }

    /// <summary>The name by which it is asked for.</summary>
    public required string Name { get; init; }

    /// <summary>What it is called.</summary>
    public required string Title { get; init; }

    /// <summary>What the kit uses it for.</summary>
    public required string Purpose { get; init; }

    /// <summary>Where it is published, or the page of the kit that describes it.</summary>
    public required string HomePage { get; init; }

    /// <summary>Under which terms it may be used.</summary>
    public required DatasetLicence Licence { get; init; }

    /// <summary>What to cite.</summary>
    public string? Citation { get; init; }

    /// <summary>The environment variable that names the root folder; null: there is none.</summary>
    public string? Variable { get; init; }

    /// <summary>How it lies below the root, an example a line.</summary>
    public required IReadOnlyList<string> Layout { get; init; }

    /// <summary>Where class names come from; null: it has no classes.</summary>
    public DatasetClassNames? ClassNames { get; init; }

    /// <summary>Published checksums of its archives and files.</summary>
    public IReadOnlyList<PublishedChecksum> Checksums { get; init; } = [];

    /// <summary>Who published the checksums.</summary>
    public string? ChecksumSource { get; init; }

    /// <summary>Its parts.</summary>
    public required IReadOnlyList<DatasetSplit> Splits { get; init; }

    /// <summary>The file that it was read from; null: it comes with the kit.</summary>
    [JsonIgnore]
    public string? File { get; init; }

    /// <summary>Reads a manifest file.</summary>
    /// <exception cref="UserException">It cannot be read or is broken; the message names the file and the field.</exception>
    public static DatasetManifest Load(string path)
    {
        try
        {
            var manifest = Parse(SmallFile.Read(path, LargestFile, "a manifest"), path) with { File = path };
            return manifest.Name == Path.GetFileNameWithoutExtension(path)
                ? manifest
                : throw Broken(path, $"`name` is '{manifest.Name}', which must be the file's name without .json");
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The manifest {path} cannot be read");
        }
    }

    /// <summary>Reads a manifest.</summary>
    /// <param name="json">Its bytes.</param>
    /// <param name="source">What messages call it.</param>
    /// <exception cref="UserException">It is broken; the message names the field.</exception>
    public static DatasetManifest Parse(ReadOnlySpan<byte> json, string source)
    {
        DatasetManifest manifest;
        try
        {
            manifest = JsonSerializer.Deserialize<DatasetManifest>(json, ReportJson.Options) ?? throw Broken(source, "it holds null");
        }
        catch (JsonException exception)
        {
            var place = exception.Path is { Length: > 2 } field ? $"`{field[2..]}`: " : "";
            throw Broken(source, $"{place}{Reason(exception)}");
        }

        return manifest.Mistake() is { } mistake ? throw Broken(source, mistake) : manifest;
    }

    /// <summary>A split by its name.</summary>
    /// <exception cref="UserException">There is none; the message gives the names that there are.</exception>
    public DatasetSplit Split(string name) => Splits.FirstOrDefault(split => split.Name == name)
        ?? throw new UserException($"The data set {Name} has no split '{name}': it must be one of {string.Join(", ", Splits.Select(split => split.Name))}.");

    private static UserException Broken(string source, string mistake) =>
        new($"The manifest {source} is broken: {mistake} (docs/data.md describes the fields).");

    // What types alone do not say; the schema says it to editors.
    private string? Mistake()
    {
        var names = Splits.Select(split => split.Name).Prepend(Name);
        var variables = Splits.Select(split => split.Variable).Prepend(Variable).OfType<string>();
        var paths = Splits.SelectMany(split => split.Needs.Append(split.Path ?? ".")).Concat(Checksums.Select(sum => sum.Path));
        return names.FirstOrDefault(name => !NamePattern().IsMatch(name)) is { } odd ? $"the name '{odd}' must be small letters, digits and single hyphens"
            : variables.FirstOrDefault(variable => !VariablePattern().IsMatch(variable)) is { } wrong ? $"'{wrong}' is no name of an environment variable"
            : Splits.Count == 0 ? "`splits` is empty"
            : Layout.Count == 0 ? "`layout` is empty"
            : Splits.GroupBy(split => split.Name).FirstOrDefault(group => group.Count() > 1) is { } twice ? $"the split '{twice.Key}' is there twice"
            : paths.FirstOrDefault(path => path.Length == 0 || LeadsOutside(path)) is { } outside ? $"the path '{outside}' must lead below the root, with forward slashes"
            : Splits.FirstOrDefault(split => split.Counts.Any(count => count.Value < 0)) is { } negative ? $"the split '{negative.Name}' has a negative count"
            : Checksums.FirstOrDefault(sum => !sum.IsUsable) is { } sum ? $"the checksum of '{sum.Path}' must be either `md5` with 32 or `sha256` with 64 small hexadecimal digits"
            : ClassNames is { Names: { } list } && list.Count != ClassNames.Count ? $"`class_names` has {list.Count} names but a count of {ClassNames.Count}"
            : null;
    }

    private static bool LeadsOutside(string path) => path.Contains('\\', StringComparison.Ordinal)
        || path.Split('|').Any(place => place.StartsWith('/') || DrivePattern().IsMatch(place) || place.Split('/').Contains(".."));

    // The serializer's sentences name .NET types and end with the position.
    private static string Reason(JsonException exception)
    {
        var message = exception.Message;
        return message.Contains("could not be mapped", StringComparison.Ordinal) ? "there is no such field"
            : message.Split("required properties including: ") is [_, var missing] ? $"it lacks {missing.Split('.')[0].Replace('\'', '`')}"
            : message.Contains("could not be converted", StringComparison.Ordinal) || message.Contains("null", StringComparison.Ordinal) ? "the value is of a wrong type"
            : message.Contains("uplicate", StringComparison.Ordinal) ? "the field is there twice"
            : $"it is not valid JSON in line {exception.LineNumber + 1}";
    }

    [GeneratedRegex("^[a-z0-9]+(-[a-z0-9]+)*$")]
    private static partial Regex NamePattern();

    [GeneratedRegex("^[A-Z][A-Z0-9_]*$")]
    private static partial Regex VariablePattern();

    [GeneratedRegex("^[A-Za-z]:")]
    private static partial Regex DrivePattern();
}

/// <summary>Terms of use.</summary>
/// <param name="Name">Their name, or what they say in a few words.</param>
/// <param name="Url">Where they are.</param>
public sealed record DatasetLicence(string Name, string? Url = null);

/// <summary>Where class names come from.</summary>
/// <param name="Count">How many classes there are.</param>
/// <param name="Source">Which file or option gives their names.</param>
/// <param name="Names">The names by label, where they are few; null: see the source.</param>
public sealed record DatasetClassNames(int Count, string Source, IReadOnlyList<string>? Names = null);

/// <summary>A published checksum: one of two kinds.</summary>
/// <param name="Path">The file below the root.</param>
/// <param name="Md5">MD5 as 32 hexadecimal digits.</param>
/// <param name="Sha256">SHA-256 as 64 hexadecimal digits.</param>
public sealed record PublishedChecksum(string Path, string? Md5 = null, string? Sha256 = null)
{
    internal bool IsUsable => (Md5 is null) != (Sha256 is null)
        && (Md5 ?? Sha256!) is var digits && digits.Length == (Md5 is null ? 64 : 32) && digits.All(char.IsAsciiHexDigitLower);
}

/// <summary>A part of a data set.</summary>
/// <param name="Name">Its name: "val".</param>
/// <param name="Purpose">What the kit uses it for.</param>
/// <param name="Reader">What reads it: a name of <see cref="DatasetReaders"/>, with the reader's own name of the split behind <c>@</c>.</param>
/// <param name="Counts">How much of what there should be, by the names that the reader counts.</param>
public sealed record DatasetSplit(string Name, string Purpose, string Reader, IReadOnlyDictionary<string, long> Counts)
{
    /// <summary>Folder, file or shards below the root; <c>|</c> separates places of which one is enough. Null: the root itself.</summary>
    public string? Path { get; init; }

    /// <summary>An environment variable that names the folder itself.</summary>
    public string? Variable { get; init; }

    /// <summary>Files below the split without which it is not there; <c>|</c> as in <see cref="Path"/>.</summary>
    public IReadOnlyList<string> Needs { get; init; } = [];

    /// <summary>Whether it is no mistake when this split is not there but another one is.</summary>
    public bool Optional { get; init; }
}
