using RegCache.Lab.Reports;
using Xunit;

namespace RegCache.Lab.Tests.Reports;

public sealed class StageKeyTests
{
    [Fact]
    public void TheOrderOfPropertiesDoesNotMatter() =>
        Assert.Equal(
            StageKey.Of(new { A = 1, B = new { C = "x", D = new[] { 1, 2 } } }),
            StageKey.Of(new { B = new { D = new[] { 1, 2 }, C = "x" }, A = 1 }));

    [Fact]
    public void EveryValueMatters()
    {
        StageKey[] keys =
        [
            StageKey.Of(new { A = 1, B = "x" }),
            StageKey.Of(new { A = 2, B = "x" }),
            StageKey.Of(new { A = 1, B = "y" }),
            StageKey.Of(new { A = "1", B = "x" }),
            StageKey.Of(new { A = 1, C = "x" }),
            StageKey.Of(new { A = new[] { 1, 2 } }),
            StageKey.Of(new { A = new[] { 2, 1 } }),
            StageKey.Of(new { A = 0.1 }),
            StageKey.Of(new { A = 0.1 + 1e-17 + 1e-16 }),
        ];
        Assert.Equal(keys.Length, keys.Distinct().Count());
    }

    [Fact]
    public void TheHashIsTheSha256OfTheCanonicalJson()
    {
        // printf '{"a":1,"b":[true,null]}' | sha256sum
        var key = StageKey.Of(new { B = new object?[] { true, null }, A = 1 });
        Assert.Equal("1cc69c7fa23616ca2ec3ee70d24390a6225c8832db8a4c814c7e0e7f942f8668", key.Hash);
    }
}
