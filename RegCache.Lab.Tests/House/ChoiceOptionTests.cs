using System.CommandLine;
using RegCache.Lab.Cli.Options;

namespace RegCache.Lab.Tests.House;

public sealed class ChoiceOptionTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true, "--act-mode", "static")]
    [InlineData(false, "--act-mode", "dynamic")]
    public void AChoiceOfTwoTakesItsWord(bool isStatic, params string[] words)
    {
        var options = new CalibrationOptions();
        var command = new Command("test");
        options.AddTo(command);
        var result = command.Parse(words);
        Assert.Empty(result.Errors);
        Assert.Equal(isStatic, options.ReadStatic(result));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true, "--activation-range", "asymmetric")]
    public void TheGridOfTheActivationsIsChosen(bool isAsymmetric, params string[] words)
    {
        var options = new QuantizerOptions();
        var command = new Command("test");
        options.AddTo(command);
        var result = command.Parse(words);
        Assert.Empty(result.Errors);
        Assert.Equal(isAsymmetric, options.Read(result, new()).Naive.AsymmetricActivations);
    }

    [Fact]
    public void AChoiceNeedsItsWord()
    {
        var options = new CalibrationOptions();
        var command = new Command("test");
        options.AddTo(command);
        Assert.Contains("--act-mode", Assert.Single(command.Parse(["--act-mode"]).Errors).Message, StringComparison.Ordinal);
    }
}
