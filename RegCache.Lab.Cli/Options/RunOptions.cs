using System.CommandLine;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options that every command has that runs a model.</summary>
internal sealed class RunOptions
{
    private const int MostImagesPerBatch = 65536;
    private const int MostThreads = 4096;

    private readonly Option<ComputeDevice> _device = OptionOf.Choice(
        "--device", "Where to compute.", ComputeDevice.Cpu, ("cpu", ComputeDevice.Cpu), ("cuda", ComputeDevice.Cuda));

    private readonly Option<int> _batch = OptionOf.Number(
        "--batch", "Images a batch. Dynamic per-batch ranges, and so results, depend on it.", 64, 1, MostImagesPerBatch);

    private readonly Option<int?> _threads = OptionOf.OptionalNumber("--threads", "Threads. [default: all cores]", 1, MostThreads);

    private readonly Option<long> _seed = OptionOf.Number("--seed", "Seed of everything random.", 0L, 0L, long.MaxValue);

    private readonly Option<ComputePrecision> _precision = OptionOf.Choice(
        "--precision", "Number format; token decisions stay in fp32.", ComputePrecision.Fp32, ("fp32", ComputePrecision.Fp32), ("bf16", ComputePrecision.Bf16));

    private readonly Option<string?> _runDirectory = new("--run-dir")
    {
        Description = "Folder of the run's results. [default: a folder below runs/]",
        HelpName = "FOLDER",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only tell what would be done, and an estimate of the time." };

    private readonly Option<bool> _force = new("--force") { Description = "Compute everything again, whatever the run directory holds." };

    private readonly Option<bool> _skipBadImages = new("--skip-bad-images") { Description = "Leave unreadable images out, naming them, instead of stopping." };

    /// <summary>Adds all of them to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _device, _batch, _threads, _seed, _precision, _runDirectory, _dryRun, _force, _skipBadImages })
        {
            command.Add(option);
        }
    }

    /// <summary>What they say.</summary>
    public RunSettings Read(ParseResult arguments) => new(
        arguments.GetValue(_device),
        arguments.GetValue(_batch),
        arguments.GetValue(_threads),
        arguments.GetValue(_seed),
        arguments.GetValue(_precision),
        arguments.GetValue(_runDirectory),
        arguments.GetValue(CommandTree.Verbose),
        arguments.GetValue(_dryRun),
        arguments.GetValue(_force),
        arguments.GetValue(_skipBadImages));
}
