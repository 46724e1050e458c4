using System.CommandLine;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Cli.Options;

/// <summary>The quantizer: its family, its bit-widths and what can be set about it.</summary>
/// <param name="none">Whether the command also runs without a quantizer.</param>
internal sealed class QuantizerOptions(NoQuantizer none = NoQuantizer.Refused)
{
    private readonly BaselineOption _baseline = new(none);

    private readonly MethodOptions _values = new("--baseline", QuantizerFamilies.All, OptionGroups.Quantizer);

    private readonly Option<QuantizationBits> _bits = new("--bits")
    {
        Description = "Bit-widths of weights and activations, W8A8 or 8.",
        HelpName = "WwAa",
        CustomParser = result => OptionOf.Parse(result, QuantizationBits.Parse),
        DefaultValueFactory = _ => new(8, 8),
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.AddGroup(OptionGroups.Quantizer, _baseline.AddTo);
        command.AddGroup(OptionGroups.Quantizer, _bits);
        _values.AddTo(command);
    }

    /// <summary>What they say.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="options">The other options.</param>
    /// <param name="instead">Families that the command runs instead of that of <c>--baseline</c>; empty: that one.</param>
    /// <exception cref="UserException">An option belongs to a family that does not run.</exception>
    public ExperimentOptions Read(ParseResult arguments, ExperimentOptions options, params IReadOnlyList<QuantizerFamily> instead)
    {
        var family = ReadFamily(arguments);
        if (family is null && arguments.GetResult(_bits) is { Implicit: false })
        {
            throw new UserException("--bits is for a quantizer, and there is none; choose one by --baseline, or leave --bits out.");
        }

        return options with
        {
            Quantizer = family ?? options.Quantizer,
            QuantizerValues = _values.Read(arguments, instead.Count > 0 ? instead : family is null ? [] : [family]),
        };
    }

    /// <summary>The family of the run; null: it is in float.</summary>
    public QuantizerFamily? ReadFamily(ParseResult arguments) => _baseline.ReadOrNone(arguments);

    /// <summary>The bit-widths of the run.</summary>
    public QuantizationBits ReadBits(ParseResult arguments) => arguments.GetRequiredValue(_bits);
}
