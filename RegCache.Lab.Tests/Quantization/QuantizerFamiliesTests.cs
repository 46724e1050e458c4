using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Quantization;
using Xunit;

namespace RegCache.Lab.Tests.Quantization;

public sealed class QuantizerFamiliesTests
{
    [Fact]
    public void TheFamiliesAreThese() => Assert.Equal(["naive", "ptq4vit", "repqvit"], QuantizerFamilies.All.Names);

    [Theory]
    [InlineData("naive")]
    [InlineData("ptq4vit")]
    [InlineData("repqvit")]
    public void TheThreeNamesAreReadAndWritten(string name)
    {
        Assert.Equal(name, QuantizerFamilies.All.Find(name).Name);
        Assert.Equal(name, Read(name).ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("Naive")]
    [InlineData("PTQ4ViT")]
    [InlineData(" naive")]
    [InlineData("0")]
    [InlineData("smoothquant")]
    public void AnythingElseIsRefusedNamingTheThree(string name)
    {
        foreach (var message in new[]
        {
            Assert.Throws<UserException>(() => QuantizerFamilies.All.Find(name)).Message,
            Assert.Throws<UserException>(() => Read(name)).Message,
        })
        {
            Assert.Contains($"'{name}'", message, StringComparison.Ordinal);
            Assert.Contains("naive, ptq4vit, repqvit", message, StringComparison.Ordinal);
        }
    }

    private static QuantizerFamily Read(string name)
    {
        var option = new BaselineOption();
        var command = new Command("test");
        option.AddTo(command);
        var result = command.Parse(["--baseline", name]);
        return result.Errors.Count == 0 ? option.Read(result) : throw new UserException(Assert.Single(result.Errors).Message);
    }
}
