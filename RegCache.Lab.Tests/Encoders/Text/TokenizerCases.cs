using System.Text.Json;

namespace RegCache.Lab.Tests.Encoders.Text;

/// <summary>The cases of <c>tokenizer_cases.json</c>.</summary>
internal static class TokenizerCases
{
    public static JsonElement Root { get; } = Read();

    public static IEnumerable<JsonElement> Of(string set) => Root.GetProperty(set).GetProperty("cases").EnumerateArray();

    public static int[] Ids(JsonElement values) => [.. values.EnumerateArray().Select(value => value.GetInt32())];

    private static JsonElement Read()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("clip", "tokenizer_cases.json")));
        return document.RootElement.Clone();
    }
}
