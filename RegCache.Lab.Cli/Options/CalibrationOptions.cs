using System.CommandLine;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options of quantizers whose ranges are calibrated: ptq4vit, repqvit, and naive with static ranges.</summary>
internal sealed class CalibrationOptions
{
    private readonly Option<bool> _static = OptionOf.Choice(
        "--act-mode", "Activation ranges of the naive baseline: from every batch, or from the calibration images.", false, ("dynamic", false), ("static", true));

    private readonly Option<int> _count = OptionOf.Number("--calib-size", "Calibration images.", CalibrationImages.DefaultCount, 1, 1_000_000);

    private readonly Option<int> _memory = OptionOf.Number("--calib-memory", "Mebibytes that a search's candidates may take at once.", 1024, 1, 1 << 20);

    private readonly Option<Recalibration?> _recalibrate = new("--recalibrate")
    {
        Description = "How often a search calibrates. [default: every for repqvit, two-pass for ptq4vit]",
        HelpName = "every|two-pass",
        CustomParser = result => OptionOf.Parse<Recalibration?>(result, text => text switch
        {
            "every" => Recalibration.Every,
            "two-pass" => Recalibration.TwoPass,
            _ => throw new UserException($"--recalibrate must be every or two-pass, not '{text}'"),
        }),
    };

    private readonly Option<HessianLoss> _loss = OptionOf.Choice(
        "--hessian-loss",
        "Loss whose gradient weights PTQ4ViT's errors: the model's own predictions, or the released code's divergence, which is rounding noise.",
        HessianLoss.PseudoLabel,
        ("pseudo-label", HessianLoss.PseudoLabel),
        ("kl", HessianLoss.Kl));

    private readonly Option<double> _temperature = new("--hessian-temperature")
    {
        Description = "PTQ4ViT divides the logits by this before the loss.",
        HelpName = "T",
        DefaultValueFactory = _ => 5,
    };

    private readonly Option<SoftmaxTwin> _twin = OptionOf.Choice(
        "--softmax-twin",
        "PTQ4ViT's two ranges of the softmax: added, as released, or one of them, as in the paper.",
        SoftmaxTwin.Released,
        ("released", SoftmaxTwin.Released),
        ("paper", SoftmaxTwin.Paper));

    private readonly Option<int> _rounds = OptionOf.Number("--search-rounds", "PTQ4ViT's rounds of weights and activations in turn.", 3, 1, 100);

    private readonly Option<int> _candidates = OptionOf.Number("--search-candidates", "Scales that PTQ4ViT tries.", 100, 1, 10_000);

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _static, _count, _memory, _recalibrate, _loss, _temperature, _twin, _rounds, _candidates })
        {
            command.Add(option);
        }
    }

    /// <summary>Whether the naive baseline takes its ranges from the calibration images.</summary>
    public bool ReadStatic(ParseResult arguments) => arguments.GetValue(_static);

    /// <summary>Number of calibration images.</summary>
    public int ReadCount(ParseResult arguments) => arguments.GetValue(_count);

    /// <summary>Bytes that a search's candidates may take.</summary>
    public long ReadMemory(ParseResult arguments) => (long)arguments.GetValue(_memory) << 20;

    /// <summary>How often a search calibrates; null leaves it to the method.</summary>
    public Recalibration? ReadRecalibration(ParseResult arguments) => arguments.GetValue(_recalibrate);

    /// <summary>The search of PTQ4ViT at given bit-widths.</summary>
    public Ptq4VitOptions ReadPtq4Vit(ParseResult arguments, QuantizationBits bits)
    {
        var options = new Ptq4VitOptions(bits);
        return options with
        {
            Loss = arguments.GetValue(_loss),
            Temperature = arguments.GetValue(_temperature),
            SoftmaxTwin = arguments.GetValue(_twin),
            Rounds = arguments.GetValue(_rounds),
            Range = options.Range with { Count = arguments.GetValue(_candidates) },
        };
    }
}
