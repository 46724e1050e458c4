using System.Text.Json;

namespace RegCache.Lab.Merging;

/// <summary>The published numbers of ToMe and fast-compress-vit (token-merging.md, section 14), as data.</summary>
public static class PublishedMerging
{
    private const string Resource = "published-merging.json";

    /// <summary>All numbers.</summary>
    public static IReadOnlyList<PublishedResult> All { get; } = Load();

    /// <summary>The models that numbers are known of.</summary>
    public static IReadOnlyList<string> Models { get; } = [.. All.Select(result => result.Model).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>The numbers of one model.</summary>
    /// <exception cref="UserException">No number of that model is known.</exception>
    public static IReadOnlyList<PublishedResult> Of(string model) => Models.Contains(model)
        ? [.. All.Where(result => result.Model == model)]
        : throw new UserException($"No published numbers of '{model}' are known; choose {string.Join(", ", Models)}.");

    private static List<PublishedResult> Load()
    {
        using var stream = typeof(PublishedMerging).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"The assembly has no resource {Resource}.");
        return JsonSerializer.Deserialize<List<PublishedResult>>(stream, JsonSerializerOptions.Web)
            ?? throw new JsonException($"{Resource} holds null.");
    }
}
