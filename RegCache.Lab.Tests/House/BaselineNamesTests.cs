using RegCache.Lab.Registers;
using Xunit;

namespace RegCache.Lab.Tests.House;

public sealed class BaselineNamesTests
{
    [Theory]
    [InlineData("naive", Baseline.Naive)]
    [InlineData("ptq4vit", Baseline.Ptq4Vit)]
    [InlineData("repqvit", Baseline.RepqVit)]
    public void TheThreeNamesAreReadAndWritten(string name, Baseline baseline)
    {
        Assert.Equal(baseline, BaselineNames.Parse(name));
        Assert.Equal(name, BaselineNames.NameOf(baseline));
    }

    [Fact]
    public void EveryBaselineHasAName() =>
        Assert.Equal(Enum.GetValues<Baseline>(), BaselineNames.All.Select(BaselineNames.Parse));

    [Theory]
    [InlineData("")]
    [InlineData("Naive")]
    [InlineData("PTQ4ViT")]
    [InlineData(" naive")]
    [InlineData("0")]
    [InlineData("smoothquant")]
    public void AnythingElseIsRefusedNamingTheThree(string name)
    {
        var error = Assert.Throws<UserException>(() => BaselineNames.Parse(name));
        Assert.Contains($"'{name}'", error.Message, StringComparison.Ordinal);
        Assert.Contains("naive, ptq4vit, repqvit", error.Message, StringComparison.Ordinal);
    }
}
