using System.Text.Json;

namespace RegCache.Lab.Registers;

/// <summary>The published numbers of RegCache (regcache.md, section 12), as data. They were read in second-hand notes.</summary>
public static class PublishedRegCache
{
    private const string Resource = "published-regcache.json";

    /// <summary>All numbers.</summary>
    public static IReadOnlyList<PublishedScore> All { get; } = Load();

    private static List<PublishedScore> Load()
    {
        using var stream = typeof(PublishedRegCache).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"The assembly has no resource {Resource}.");
        return JsonSerializer.Deserialize<List<PublishedScore>>(stream, JsonSerializerOptions.Web)
            ?? throw new JsonException($"{Resource} holds null.");
    }
}
