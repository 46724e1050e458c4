using RegCache.Lab.Registers;

namespace RegCache.Lab.Tests.Registers;

public sealed class RegCacheOptionsTests
{
    private const int Patches = 16;

    [Fact]
    public void UsualOptionsAreFine() => new RegCacheOptions { Prune = true, MaxDelete = Patches - 1 }.Validate(Patches);

    [Fact]
    public void OptionsThatCannotBeRunAreRefusedByName()
    {
        var usual = new RegCacheOptions();
        foreach (var (options, named) in new[]
        {
            (usual with { TopTokens = 0 }, "--topn 0"),
            (usual with { MaxPrefix = 0 }, "--max-prefix 0"),
            (usual with { Finalists = 0 }, "--finalists 0"),
            (usual with { MaxDelete = Patches }, "--max-delete 16"),
            (usual with { Prune = true, SearchMetric = SearchMetric.Mse }, "--prune needs --search-metric accuracy"),
        })
        {
            Assert.Contains(named, Assert.Throws<UserException>(() => options.Validate(Patches)).Message, StringComparison.Ordinal);
        }
    }
}
