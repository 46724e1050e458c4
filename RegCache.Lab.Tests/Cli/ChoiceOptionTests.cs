using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Tests.Encoders;
using TorchSharp;

namespace RegCache.Lab.Tests.Cli;

public sealed class ChoiceOptionTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true, "--act-mode", "static")]
    [InlineData(false, "--act-mode", "dynamic")]
    public void AChoiceOfTwoTakesItsWord(bool isStatic, params string[] words) =>
        Assert.Equal(isStatic, Read(NaiveFamily.Entry, words).Get(NaiveFamily.StaticActivations));

    [Fact]
    public void AChoiceNeedsItsWord() =>
        Assert.Contains("--act-mode", Assert.Single(Parse("--act-mode").Result.Errors).Message, StringComparison.Ordinal);

    [Fact]
    public void TheNaiveQuantizerIsTheOneOfItsOptions()
    {
        using var model = RandomModels.Create(RandomModels.Tiny);
        using var classifier = new ZeroShotClassifier(torch.randn(12, 5));
        using var images = new CalibrationImages(torch.randn(2, 3, 32, 24), "random");
        var asked = 0;
        ICalibrator Create(params string[] words) => NaiveFamily.Entry.Create(new(model.Vision, () => classifier, new(6, 4), 2, () =>
        {
            asked++;
            return images;
        })
        {
            Values = Read(NaiveFamily.Entry, words),
        });
        Assert.Equal(new NaiveQuantizer(new(6, 4)), Create());
        var expected = new NaiveQuantizer(new(6, 4))
        {
            Scope = ActivationScope.Token,
            Granularity = WeightGranularity.Tensor,
            AsymmetricActivations = true,
        };
        Assert.Equal(expected, Create("--scope", "token", "--weight-granularity", "tensor", "--activation-range", "asymmetric"));
        Assert.Equal(0, asked);
        Assert.IsType<StaticRangeCalibrator>(Create("--act-mode", "static"));
        Assert.Equal(1, asked);
    }

    [Theory]
    [InlineData("ptq4vit", "--scope", "image", "naive")]
    [InlineData("repqvit", "--act-mode", "static", "naive")]
    [InlineData("repqvit", "--metric", "cosine", "ptq4vit")]
    [InlineData("naive", "--search-rounds", "2", "ptq4vit")]
    public void AnOptionOfAnotherFamilyIsRefused(string family, string option, string value, string owner)
    {
        var error = Assert.Throws<UserException>(() => Read(QuantizerFamilies.All.Find(family), option, value));
        Assert.StartsWith($"{option} belongs to {owner}, not to {family};", error.Message, StringComparison.Ordinal);
        // With its own family beside it, it is that one's.
        var (options, result) = Parse(option, value);
        options.Read(result, QuantizerFamilies.All.Find(family), QuantizerFamilies.All.Find(owner));
    }

    [Fact]
    public void CalibrationImagesAreSetAlikeForAllFamilies()
    {
        Assert.All(QuantizerFamilies.All, family => Assert.Equal(7, Read(family, "--calib-size", "7").Get(CalibrationImages.CountOption)));
        Assert.Equal(3L << 20, Read(Ptq4VitFamily.Entry, "--calib-memory", "3").Get(CalibrationImages.MemoryOption));
        Assert.Throws<UserException>(() => Read(NaiveFamily.Entry, "--calib-memory", "3"));

        Assert.Equal((32, 1L << 30), (MethodValues.None.Get(CalibrationImages.CountOption), MethodValues.None.Get(CalibrationImages.MemoryOption)));
    }

    [Fact]
    public void HelpNamesTheFamilyOfAnOptionAndItsDefault()
    {
        var command = new Command("test");
        new MethodOptions("--baseline", QuantizerFamilies.All).AddTo(command);
        string Help(string name) => command.Options.Single(option => option.Name == name).Description!;
        Assert.Equal("naive: Over what a weight scale is taken. [default: row]", Help("--weight-granularity"));
        Assert.Equal("Calibration images. [default: 32]", Help("--calib-size"));
        Assert.EndsWith("[default: the preset's, hessian or cosine]", Help("--metric"), StringComparison.Ordinal);
    }

    private static MethodValues Read(QuantizerFamily family, params string[] words)
    {
        var (options, result) = Parse(words);
        Assert.Empty(result.Errors);
        return options.Read(result, family);
    }

    private static (MethodOptions Options, ParseResult Result) Parse(params string[] words)
    {
        var options = new MethodOptions("--baseline", QuantizerFamilies.All);
        var command = new Command("test");
        options.AddTo(command);
        return (options, command.Parse(words));
    }
}
