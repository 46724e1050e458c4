using System.CommandLine;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options of quantizers whose ranges are calibrated: ptq4vit, repqvit, and naive with static ranges.</summary>
internal sealed class CalibrationOptions
{
    private readonly Option<ActivationMode> _mode = OptionOf.Choice(
        "--act-mode",
        "Activation ranges of the naive baseline: from every batch, or from the calibration images.",
        ActivationMode.Dynamic,
        ("dynamic", ActivationMode.Dynamic),
        ("static", ActivationMode.Static));

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

    private readonly Ptq4VitSearchOptions _search = new();

    private enum ActivationMode
    {
        Dynamic,
        Static,
    }

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _mode, _count, _memory, _recalibrate })
        {
            command.Add(option);
        }

        command.AddGroup(OptionGroups.Ptq4Vit, _search.AddTo);
    }

    /// <summary>Whether the naive baseline takes its ranges from the calibration images.</summary>
    public bool ReadStatic(ParseResult arguments) => arguments.GetValue(_mode) == ActivationMode.Static;

    /// <summary>Number of calibration images.</summary>
    public int ReadCount(ParseResult arguments) => arguments.GetValue(_count);

    /// <summary>Bytes that a search's candidates may take.</summary>
    public long ReadMemory(ParseResult arguments) => (long)arguments.GetValue(_memory) << 20;

    /// <summary>How often a search calibrates; null leaves it to the method.</summary>
    public Recalibration? ReadRecalibration(ParseResult arguments) => arguments.GetValue(_recalibrate);

    /// <summary>The search of PTQ4ViT at given bit-widths.</summary>
    public Ptq4VitOptions ReadPtq4Vit(ParseResult arguments, QuantizationBits bits) => _search.Read(arguments, bits);
}
