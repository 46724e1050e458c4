using System.CommandLine;
using System.Globalization;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;

namespace RegCache.Lab.Cli.Options;

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
        if (directory.Force)
        {
            checkpoints.Clear();
        }

        return new TrainingLoop(task, options, checkpoints, step => [.. Open(context.Arguments, directory, step), .. more is null ? (ITrainingLog[])[] : [more(step)]], directory.Progress)
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
