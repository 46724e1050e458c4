using System.CommandLine;
using RegCache.Lab.Data;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options of the commands that open a model and quantize it.</summary>
/// <param name="searches">Whether the command reads the search set and searches, or only evaluates.</param>
/// <param name="none">Whether the command also runs without a quantizer.</param>
internal sealed class PipelineOptions(bool searches = true, NoQuantizer none = NoQuantizer.Refused)
{
    private readonly DataOptions _data = new();
    private readonly ModelOptions _model = new();
    private readonly QuantizerOptions _quantizer = new(none);
    private readonly RegCacheSearchOptions _search = new();
    private readonly ExecutionOption _execution = new();
    private readonly RunOptions _run = new();

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        _data.AddTo(
            command,
            searches
                ? [DataVariable.ImageNetValidation, DataVariable.TrainSample, DataVariable.Calibration]
                : [DataVariable.ImageNetValidation, DataVariable.Calibration]);
        _data.AddOrderTo(command);
        _model.AddTo(command);
        _quantizer.AddTo(command);
        if (searches)
        {
            _search.AddTo(command);
        }

        _execution.AddTo(command);
        _run.AddTo(command);
    }

    /// <summary>Opens what they name.</summary>
    /// <param name="context">The command.</param>
    /// <param name="instead">Families of quantizers that the command runs instead of that of <c>--baseline</c>; empty: that one.</param>
    /// <exception cref="UserException">Something is missing, or does not fit.</exception>
    public Experiment Open(CommandContext context, params IReadOnlyList<QuantizerFamily> instead) => Open(context, "", static options => options, instead);

    /// <summary>Opens what they name.</summary>
    /// <param name="context">The command.</param>
    /// <param name="prefix">What the name of the usual run directory begins with.</param>
    /// <param name="change">Adds what the command's other options say.</param>
    /// <param name="instead">Families of quantizers that the command runs instead of that of <c>--baseline</c>; empty: that one.</param>
    /// <exception cref="UserException">Something is missing, or does not fit.</exception>
    public Experiment Open(
        CommandContext context, string prefix, Func<ExperimentOptions, ExperimentOptions> change, params IReadOnlyList<QuantizerFamily> instead)
    {
        var (arguments, quantizer) = (context.Arguments, ReadQuantizer(context.Arguments));
        var locations = _data.Read(arguments);
        var options = _run.Read(arguments, new()
        {
            ValidationImages = locations.Require(DataVariable.ImageNetValidation),
            SearchImages = searches ? locations.Require(DataVariable.TrainSample) : null,
            CalibrationImages = () => locations.Require(DataVariable.Calibration),
            Order = _data.ReadOrder(arguments),
        });
        options = _quantizer.Read(arguments, change(_model.Read(arguments, options)), instead);
        options = _execution.Read(arguments, options, quantizer?.Bits);
        return Experiment.Open(
            options with
            {
                DefaultRunDirectory = model => Path.Combine(
                    "runs", $"{prefix}{model}_{(quantizer is var (family, bits) ? $"{family}_{bits}" : PlanOptions.Float)}".ToLowerInvariant()),
            },
            context.Progress,
            context.Cancellation);
    }

    /// <summary>What to search, and how.</summary>
    public RegCacheOptions ReadSearch(ParseResult arguments) =>
        _search.Read(arguments) with { Bits = ReadBits(arguments) };

    /// <summary>The quantizer of the run; null: it is in float.</summary>
    public (QuantizerFamily Family, QuantizationBits Bits)? ReadQuantizer(ParseResult arguments) =>
        _quantizer.ReadFamily(arguments) is { } family ? (family, ReadBits(arguments)) : null;

    /// <summary>The bit-widths of the run.</summary>
    public QuantizationBits ReadBits(ParseResult arguments) => _quantizer.ReadBits(arguments);

    /// <summary>Whether only to tell what would be done.</summary>
    public bool IsDryRun(ParseResult arguments) => _run.IsDryRun(arguments);
}
