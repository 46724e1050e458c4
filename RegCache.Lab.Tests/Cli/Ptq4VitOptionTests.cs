using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;

namespace RegCache.Lab.Tests.Cli;

public sealed class Ptq4VitOptionTests
{
    [Fact]
    public void WithoutOptionsTheSearchIsThePublishedOne() => Assert.Equal(new Ptq4VitOptions(new(6, 6)), Read([]));

    [Fact]
    public void ThePresetIsBasePtq() => Assert.Equal(Ptq4VitOptions.BasePtq(new(6, 6)), Read(["--search-preset", "baseptq"]));

    [Fact]
    public void EveryOptionDepartsFromThePreset()
    {
        var expected = new Ptq4VitOptions(new(6, 6))
        {
            Metric = OutputMetric.Cosine,
            Range = new(0.25, 1.5, 12),
            Rounds = 2,
            PostGeluTwin = false,
            SoftmaxTwin = null,
            PatchesPerChannel = false,
            Loss = HessianLoss.Kl,
            Temperature = 2.5,
            BackwardBatch = 8,
        };
        Assert.Equal(expected, Read(
        [
            "--metric", "cosine", "--search-range", "0.25,1.5", "--search-candidates", "12", "--search-rounds", "2", "--gelu-twin", "off",
            "--softmax-twin", "off", "--hessian-loss", "kl", "--hessian-temperature", "2.5", "--backward-batch", "8",
        ]));
        var back = Read(["--search-preset", "baseptq", "--softmax-twin", "paper", "--gelu-twin", "on", "--search-rounds", "3"]);
        Assert.Equal((SoftmaxTwin.Paper, true, 3), (back.SoftmaxTwin, back.PostGeluTwin, back.Rounds));
        Assert.Equal(OutputMetric.Cosine, back.Metric);
        back.Validate();
    }

    [Theory]
    [InlineData("--search-range", "1.2")]
    [InlineData("--search-range", "1.2,0.5")]
    [InlineData("--search-range", "0,1")]
    [InlineData("--search-range", "0.1,Infinity")]
    [InlineData("--metric", "mse")]
    [InlineData("--softmax-twin", "none")]
    [InlineData("--search-preset", "BasePTQ")]
    [InlineData("--backward-batch", "0")]
    [InlineData("--hessian-temperature", "0")]
    [InlineData("--hessian-temperature", "warm")]
    public void ImpossibleValuesAreNamed(string option, string value)
    {
        var (_, result) = Parse([option, value]);
        Assert.Contains(option, Assert.Single(result.Errors).Message, StringComparison.Ordinal);
    }

    private static Ptq4VitOptions Read(string[] words)
    {
        var (options, result) = Parse(words);
        Assert.Empty(result.Errors);
        return Ptq4VitFamily.Read(options.Read(result, Ptq4VitFamily.Entry), new(6, 6));
    }

    private static (MethodOptions Options, ParseResult Result) Parse(string[] words)
    {
        var options = new MethodOptions("--baseline", QuantizerFamilies.All);
        var command = new Command("test");
        options.AddTo(command);
        return (options, command.Parse(words));
    }
}
