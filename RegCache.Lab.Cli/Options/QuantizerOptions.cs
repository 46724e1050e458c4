using System.CommandLine;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Cli.Options;

/// <summary>The quantizer: its family, its bit-widths and what can be set about it.</summary>
internal sealed class QuantizerOptions
{
    private readonly BaselineOption _baseline = new();

    private readonly Option<QuantizationBits> _bits = new("--bits")
    {
        Description = "Bit-widths of weights and activations, W8A8 or 8. [default: W8A8]",
        HelpName = "WwAa",
        CustomParser = result => OptionOf.Parse(result, QuantizationBits.Parse),
        DefaultValueFactory = _ => new(8, 8),
    };

    private readonly Option<ActivationScope> _scope = OptionOf.Choice(
        "--scope",
        "Over what a dynamic activation range is taken.",
        ActivationScope.Batch,
        ("batch", ActivationScope.Batch),
        ("image", ActivationScope.Image),
        ("token", ActivationScope.Token));

    private readonly Option<WeightGranularity> _granularity = OptionOf.Choice(
        "--weight-granularity",
        "Over what a weight scale is taken.",
        WeightGranularity.Row,
        ("row", WeightGranularity.Row),
        ("tensor", WeightGranularity.Tensor));

    private readonly Option<ActivationRange> _range = OptionOf.Choice(
        "--activation-range",
        "Grid of the activations.",
        ActivationRange.Symmetric,
        ("symmetric", ActivationRange.Symmetric),
        ("asymmetric", ActivationRange.Asymmetric));

    private readonly CalibrationOptions _calibration = new();

    private enum ActivationRange
    {
        Symmetric,
        Asymmetric,
    }

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.AddGroup(OptionGroups.Quantizer, _baseline.AddTo);
        command.AddGroup(OptionGroups.Quantizer, _bits, _scope, _granularity, _range);
        command.AddGroup(OptionGroups.Quantizer, _calibration.AddTo);
    }

    /// <summary>What they say.</summary>
    public ExperimentOptions Read(ParseResult arguments, ExperimentOptions options) => options with
    {
        Quantizer = _baseline.Read(arguments),
        Naive = new NaiveQuantizer(ReadBits(arguments))
        {
            Scope = arguments.GetValue(_scope),
            Granularity = arguments.GetValue(_granularity),
            AsymmetricActivations = arguments.GetValue(_range) == ActivationRange.Asymmetric,
        },
        StaticRanges = _calibration.ReadStatic(arguments),
        CalibrationCount = _calibration.ReadCount(arguments),
        CalibrationMemory = _calibration.ReadMemory(arguments),
        Ptq4Vit = _calibration.ReadPtq4Vit(arguments, ReadBits(arguments)),
    };

    /// <summary>The bit-widths of the run.</summary>
    public QuantizationBits ReadBits(ParseResult arguments) => arguments.GetRequiredValue(_bits);

    /// <summary>How often a search calibrates; null leaves it to the method.</summary>
    public Recalibration? ReadRecalibration(ParseResult arguments) => _calibration.ReadRecalibration(arguments);
}
