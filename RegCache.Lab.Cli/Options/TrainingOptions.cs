using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using TorchSharp;

namespace RegCache.Lab.Cli.Options;

/// <summary>What trainings that a JSON file configures have in common: that file, the run directory, how images are decoded, threads and device.</summary>
/// <param name="files">Files that come with the kit, for the help text; empty: none are named.</param>
/// <param name="directoryNames">Other spellings of <c>--run-dir</c>.</param>
internal sealed class TrainingRunOptions(string files = "", params string[] directoryNames)
{
    private readonly Option<string?> _config = new("--config") { Description = $"JSON file that configures the training{files}; options on the command line win over it.", HelpName = "FILE" };
    private readonly Option<bool> _schema = new("--schema") { Description = "Print the JSON schema of that file and end." };
    private readonly Option<int?> _threads = OptionOf.Threads();
    private readonly Option<string?> _directory = new("--run-dir", directoryNames) { Description = "Folder of checkpoints, logs and the model. [default: runs/NAME of the configuration file]", HelpName = "FOLDER" };
    private readonly Option<bool> _force = new("--force") { Description = "Start over, whatever checkpoints the run directory holds." };
    private readonly DecodingOption _decoding = new();
    private readonly Option<ComputeDevice> _device = OptionOf.Device();

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _config, _schema, _threads, _directory, _force, _device }.Concat(_decoding.All))
        {
            command.Add(option);
        }
    }

    /// <summary>Whether the schema of the file is asked for, and no training.</summary>
    public bool WantsSchema(ParseResult arguments) => arguments.GetValue(_schema);

    /// <summary>The configuration file, or null.</summary>
    public string? ReadFile(ParseResult arguments) => arguments.GetValue(_config);

    /// <summary>How images are decoded.</summary>
    public DecodingOptions ReadDecoding(ParseResult arguments) => _decoding.Read(arguments);

    /// <summary>Sets the number of threads, and finds the device.</summary>
    /// <exception cref="UserException">There is no such device.</exception>
    public torch.Device Prepare(ParseResult arguments)
    {
        torch.set_num_threads(arguments.GetValue(_threads) ?? Processes.Cores);
        return arguments.GetValue(_device).Find();
    }

    /// <summary>Opens the run directory, by default one with the name of the configuration file.</summary>
    /// <exception cref="UserException">It has no name, or cannot be used.</exception>
    public RunDirectory OpenDirectory(ParseResult arguments, IWorkProgress progress) =>
        RunDirectory.Open(arguments.GetValue(_directory) ?? DefaultDirectory(arguments.GetValue(_config)), arguments.GetValue(_force), progress);

    // A pipe gives a run no name.
    private static string DefaultDirectory(string? file) =>
        file is null ? throw new UserException("Without --config the run has no name; give --run-dir.")
        : file.StartsWith("/dev/", StringComparison.Ordinal) || file.StartsWith("/proc/", StringComparison.Ordinal)
            ? throw new UserException($"--config {file} gives the run no name; give --run-dir.")
            : Path.Combine("runs", Path.GetFileNameWithoutExtension(file));
}

/// <summary>Sharpness-aware minimisation, for commands that train.</summary>
internal sealed class SharpnessOption
{
    private readonly Option<double?> _radius = new("--sam-rho")
    {
        Description = "Radius of sharpness-aware minimisation, about 0.05, or 0.5 when adaptive; a step then takes twice as long. [default: off]",
        HelpName = "RHO",
        CustomParser = result => OptionOf.Parse<double?>(result, text =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var radius) && radius > 0 && double.IsFinite(radius)
                ? radius
                : throw new UserException($"--sam-rho must be a number above 0, not '{text}'")),
    };

    private readonly Option<bool> _adaptive = new("--sam-adaptive")
    {
        Description = "Every parameter climbs in proportion to its own magnitude (adaptive sharpness-aware minimisation).",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(_radius);
        command.Add(_adaptive);
    }

    /// <summary>What they say, over what the training's configuration says.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="configured">The configuration's own; null trains the ordinary way.</param>
    /// <exception cref="UserException">Adaptive, but without a radius.</exception>
    public SamOptions? Read(ParseResult arguments, SamOptions? configured)
    {
        var isAdaptive = arguments.GetValue(_adaptive);
        return (arguments.GetValue(_radius) ?? configured?.Radius) switch
        {
            { } radius => new(radius, isAdaptive || configured is { Adaptive: true }),
            _ when isAdaptive => throw new UserException("--sam-adaptive needs a radius: give --sam-rho RHO, too."),
            _ => null,
        };
    }
}

/// <summary><c>--report-to</c>, and the part of a command that trains: what a training writes into its run directory.</summary>
internal sealed class TrainReportOption
{
    private readonly Option<string> _reportTo = new("--report-to")
    {
        Description = "tensorboard or all: TensorBoard event files, too. JSON lines are always written. [default: JSON lines alone]",
        HelpName = "NAMES",
        DefaultValueFactory = _ => "",
    };

    /// <summary>The folder of the checkpoints in a run directory.</summary>
    public const string Checkpoints = "checkpoints";

    /// <summary>Adds the option to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(_reportTo);
        command.Validators.Add(result =>
        {
            if (result.GetValue(_reportTo) is { } names && names.Contains("wandb", StringComparison.Ordinal))
            {
                result.AddError("--report-to wandb: this kit sends nothing over the network; use tensorboard");
            }
        });
    }

    /// <summary>Trains to the end, from the newest checkpoint unless the run directory was forced to start over.</summary>
    /// <param name="context">The running command.</param>
    /// <param name="directory">Holds the checkpoints and the logs.</param>
    /// <param name="task">What is trained.</param>
    /// <param name="options">How often it logs, measures and saves.</param>
    /// <param name="more">Makes a log of the training's own, given the steps that an earlier run has taken; null for none.</param>
    /// <returns>The last evaluation.</returns>
    public IReadOnlyDictionary<string, double> Train(
        CommandContext context, RunDirectory directory, ITrainingTask task, TrainingLoopOptions options, Func<long, ITrainingLog>? more = null)
    {
        var checkpoints = new TrainingCheckpoints(directory.PathOf(Checkpoints), keep: 2);
        if (directory.Force && Processes.IsFirst)
        {
            checkpoints.Clear();
        }

        return new TrainingLoop(task, options, checkpoints, step => [.. Open(context.Arguments, directory, step), .. more is null ? (ITrainingLog[])[] : [more(step)]], directory.Progress, Processes.Current)
            .Run(context.Cancellation);
    }

    // The logs go on after a step.
    private IReadOnlyList<ITrainingLog> Open(ParseResult arguments, RunDirectory directory, long step)
    {
        var names = arguments.GetValue(_reportTo)!;
        var json = new JsonLinesLog(directory.PathOf("log.jsonl"), step);
        return names.Contains("tensorboard", StringComparison.Ordinal) || names.Contains("all", StringComparison.Ordinal)
            ? [json, new TensorBoardLog(directory.PathOf("tensorboard"), step)]
            : [json];
    }
}

/// <summary>How long a training took, by its log.</summary>
internal static class TrainingTime
{
    /// <summary>Wall time of the steps, without the evaluations.</summary>
    /// <param name="log">The training's log, which survives interruptions: its lines hold the mean time of the steps since the line before.</param>
    public static double Seconds(string log)
    {
        var (seconds, before) = (0.0, 0L);
        foreach (var line in File.ReadLines(log))
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.TryGetProperty("train/batch_time", out var time))
            {
                var step = json.RootElement.GetProperty("step").GetInt64();
                seconds += time.GetDouble() * (step - before);
                before = step;
            }
        }

        return seconds;
    }
}
