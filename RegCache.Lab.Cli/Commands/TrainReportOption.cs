using System.CommandLine;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;

namespace RegCache.Lab.Cli.Commands;

/// <summary><c>--report-to</c>, and the part of a command that trains: what a training writes into its run directory.</summary>
internal sealed class TrainReportOption
{
    private readonly Option<string> _reportTo = new("--report-to")
    {
        Description = "tensorboard (or all) also writes TensorBoard event files; JSON lines are always written.",
        HelpName = "NAMES",
        DefaultValueFactory = _ => "",
    };

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
    /// <returns>The last evaluation.</returns>
    public IReadOnlyDictionary<string, double> Train(
        CommandContext context, RunDirectory directory, ITrainingTask task, TrainingLoopOptions options)
    {
        var checkpoints = new TrainingCheckpoints(directory.PathOf("checkpoints"), keep: 2);
        if (directory.Force)
        {
            checkpoints.Clear();
        }

        return new TrainingLoop(task, options, checkpoints, step => Open(context.Arguments, directory, step), directory.Progress)
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
