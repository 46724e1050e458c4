using System.Text.Json.Serialization;

namespace RegCache.Lab.Data.Retrieval;

/// <summary>ImageInWords (Garg et al., EMNLP 2024, arXiv:2405.02793) by whole descriptions, as JSON Lines in three parts.</summary>
public static class ImageInWordsLong
{
    private static readonly (string List, string Images)[] _parts =
        [("DOCCI_Test/data.jsonl", "docci"), ("IIW-400/data.jsonl", "docci_aar"), ("DCI_Test/data.jsonl", "dci")];

    /// <summary>The folder of ImageInWords.</summary>
    public static DataVariable Variable { get; } = new("IIW_DATA_ROOT", "--root", null, "ImageInWords");

    /// <summary>The entry in the list of sets.</summary>
    public static RetrievalFormat Entry { get; } = new(
        "iiw-long",
        $"ImageInWords' whole descriptions: {string.Join(", ", _parts.Select(part => part.List))}, images in {string.Join(", ", _parts.Select(part => part.Images))}",
        Variable,
        ["test"],
        Read)
    {
        MetricName = "iiw_long",
    };

    private static RetrievalSet Read(RetrievalRequest request)
    {
        var builder = new RetrievalSetBuilder(request) { OneEntryAnImage = true };
        foreach (var (list, images) in _parts)
        {
            var path = request.Require(list);
            foreach (var (line, description) in AnnotationFile.ReadLines<Description>(path))
            {
                var entry = $"{path}: line {line}";
                var name = description.Image ?? description.Key ?? throw new UserException($"{entry} lacks 'image' or 'image/key': mend it, or copy or download the file again.");
                name = name.EndsWith(".jpg", StringComparison.Ordinal) ? name : name + ".jpg";
                builder.Add(entry, Path.Combine(request.Root, images, name), LongCaption.CleanUp(description.Text));
            }
        }

        return builder.Build(request.Root);
    }

    private sealed record Description(
        [property: JsonPropertyName("IIW")] string Text, string? Image = null, [property: JsonPropertyName("image/key")] string? Key = null);
}

/// <summary>How long captions are made alike, as in FLAIR's evaluation (arXiv:2412.03561).</summary>
internal static class LongCaption
{
    private static readonly string[] _ends = ["\n", "</s>", "."];

    /// <summary>
    /// The parts of a text between line breaks, end marks and full stops, trimmed and without empty ones. Every full stop ends a part, so
    /// "v1.5" has two.
    /// </summary>
    public static string[] Split(string text) =>
        [.. text.Split(_ends, StringSplitOptions.None).Select(part => part.Trim()).Where(part => part.Length > 0)];

    /// <summary>The parts as sentences: "v1. 5", without a full stop at the end.</summary>
    public static string CleanUp(string text) => string.Join(". ", Split(text));
}
