using System.Text.Json;
using RegCache.Lab.Data;

namespace RegCache.Lab.Tests.Data;

[Trait("Category", "Golden")]
public class WebDatasetGoldenTests
{
    [Fact]
    public void ShardSpecifications()
    {
        var cases = Expected().GetProperty("brace_expansion").EnumerateArray().ToArray();
        Assert.NotEmpty(cases);
        foreach (var item in cases)
        {
            var names = ShardNames.Expand(item.GetProperty("pattern").GetString()!);
            var (first, last) = (Strings(item, "first"), Strings(item, "last"));
            Assert.Equal(item.GetProperty("count").GetInt32(), names.Count);
            Assert.Equal(first, names.Take(first.Length));
            Assert.Equal(last, names.TakeLast(last.Length));
        }
    }

    [Fact]
    public void MembersAreGroupedIntoSamples()
    {
        foreach (var shard in Expected().GetProperty("shards").EnumerateObject())
        {
            var kept = shard.Value.EnumerateArray().Where(sample => sample.GetProperty("kept").GetBoolean()).ToArray();
            using var source = new WebDatasetSource([Goldens.Path("clip", "wds", shard.Name)]);
            Assert.Equal(kept.Length, source.Count);
            for (var index = 0; index < kept.Length; index++)
            {
                Assert.Equal(kept[index].GetProperty("txt").GetString(), source.Caption(index));
                Assert.Contains($"/{kept[index].GetProperty("key").GetString()}.", source.Name(index), StringComparison.Ordinal);
                using var image = source.Load(index);
                Assert.True(image.Width > 0);
            }
        }
    }

    [Theory]
    [InlineData("a::b", new[] { "a", "b" })]
    [InlineData("{0..6..3}.tar::x", new[] { "0.tar", "3.tar", "6.tar", "x" })]
    public void SeveralSourcesAreJoined(string specification, string[] expected) =>
        Assert.Equal(expected, ShardNames.Expand(specification));

    [Fact]
    public void TooManyShardsAreRefusedWithoutListingThem() =>
        Assert.Contains("more than", Assert.Throws<UserException>(() => ShardNames.Expand("{0..999999999999}")).Message, StringComparison.Ordinal);

    private static JsonElement Expected()
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Goldens.Path("clip", "wds", "expected.json")));
        return json.RootElement.Clone();
    }

    private static string[] Strings(JsonElement json, string name) =>
        [.. json.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];
}
