using System.CommandLine;
using RegCache.Lab.Distributed;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options that every command has that runs a model.</summary>
/// <param name="keepsRuns">Whether the command has a run directory, or only computes.</param>
internal sealed class RunOptions(bool keepsRuns = true)
{
    private const int MostImagesPerBatch = 65536;

    private readonly Option<ComputeDevice> _device = OptionOf.Device();

    private readonly Option<int> _batch = OptionOf.Number(
        "--batch", "Images a batch. Dynamic per-batch ranges, and so results, depend on it.", 64, 1, MostImagesPerBatch);

    private readonly Option<int?> _threads = OptionOf.Threads();

    private readonly Option<long> _seed = OptionOf.Number("--seed", "Seed of everything random.", 0L, 0L, long.MaxValue);

    private readonly Option<ComputePrecision> _precision = OptionOf.Choice(
        "--precision", "Number format; token decisions stay in fp32.", ComputePrecision.Fp32, ("fp32", ComputePrecision.Fp32), ("bf16", ComputePrecision.Bf16));

    private readonly Option<string?> _runDirectory = new("--run-dir")
    {
        Description = "Folder of the run's results. [default: a folder below runs/]",
        HelpName = "FOLDER",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only tell what would be done, and estimate the time." };

    private readonly Option<bool> _force = new("--force") { Description = "Compute everything again, whatever the run directory holds." };

    private readonly Option<bool> _skipBadImages = new("--skip-bad-images") { Description = "Leave unreadable images out, naming them, instead of stopping." };

    private readonly DecodingOption _decoding = new();

    /// <summary>Adds all of them to a command.</summary>
    public void AddTo(Command command) => command.AddGroup(
        OptionGroups.Running,
        [
            _device, _batch, _threads, _seed, _precision, .. keepsRuns ? new Option[] { _runDirectory, _dryRun, _force } : [], _skipBadImages,
            .. _decoding.All,
        ]);

    /// <summary>What they say.</summary>
    public ExperimentOptions Read(ParseResult arguments, ExperimentOptions options) => options with
    {
        Device = arguments.GetValue(_device),
        BatchSize = arguments.GetValue(_batch),
        Threads = arguments.GetValue(_threads) ?? Processes.Cores,
        Seed = arguments.GetValue(_seed),
        Precision = arguments.GetValue(_precision),
        RunDirectory = arguments.GetValue(_runDirectory),
        Force = arguments.GetValue(_force),
        SkipBadImages = arguments.GetValue(_skipBadImages),
        Decoding = _decoding.Read(arguments),
    };

    /// <summary>Whether only to tell what would be done.</summary>
    public bool IsDryRun(ParseResult arguments) => arguments.GetValue(_dryRun);
}

/// <summary>How quantized layers are carried out.</summary>
internal sealed class ExecutionOption
{
    private static readonly QuantizationBits _eight = new(8, 8);

    private readonly Option<ExecutionMode?> _execution = new("--execution")
    {
        Description = "Compute quantized layers in 8-bit integers, or simulate them in float. [default: integer at W8A8 on the CPU where it is available]",
        HelpName = "simulated|integer",
        CustomParser = result => OptionOf.Parse<ExecutionMode?>(result, text => text switch
        {
            "simulated" => ExecutionMode.Simulated,
            "integer" => ExecutionMode.Integer,
            _ => throw new UserException($"--execution must be simulated or integer, not '{text}'"),
        }),
    };

    /// <summary>Adds it to a command.</summary>
    public void AddTo(Command command) => command.AddGroup(OptionGroups.Running, _execution);

    /// <summary>What it says: integers when they are asked for, and at W8A8 where they can run.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="options">Device and precision.</param>
    /// <param name="bits">Bit-widths of the run; null: nothing is quantized.</param>
    /// <exception cref="UserException">Integers are asked for, and nothing is quantized.</exception>
    public ExperimentOptions Read(ParseResult arguments, ExperimentOptions options, QuantizationBits? bits) => options with
    {
        Execution = bits is null && arguments.GetValue(_execution) is not null
            ? throw new UserException("--execution is about quantized layers, and there are none; choose a quantizer by --baseline, or leave --execution out.")
            : arguments.GetValue(_execution)
                ?? (bits == _eight && options is { Device: ComputeDevice.Cpu, Precision: ComputePrecision.Fp32 }
                    ? ExecutionMode.Integer
                    : ExecutionMode.Simulated),
    };
}

/// <summary><c>--checkpoint-seconds</c>, for commands that do one long pass.</summary>
internal sealed class CheckpointOption
{
    private readonly Option<int?> _seconds = OptionOf.OptionalNumber(
        "--checkpoint-seconds", "Seconds between two checkpoints, from which a killed run goes on; 0: after every batch. [default: 30]", 0, 86400);

    /// <summary>Adds it to a command.</summary>
    public void AddTo(Command command) => command.AddGroup(OptionGroups.Running, _seconds);

    /// <summary>What it says.</summary>
    public ExperimentOptions Read(ParseResult arguments, ExperimentOptions options) => options with
    {
        CheckpointInterval = arguments.GetValue(_seconds) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
    };
}
