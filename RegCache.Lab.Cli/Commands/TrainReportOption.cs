using System.CommandLine;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;

namespace RegCache.Lab.Cli.Commands;

/// <summary><c>--report-to</c>: what a training writes besides its JSON lines (clip.md, section 13.8).</summary>
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

    /// <summary>Opens the logs of a run.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="directory">Where they are written.</param>
    /// <param name="step">The step that the training goes on after.</param>
    public IReadOnlyList<ITrainingLog> Open(ParseResult arguments, RunDirectory directory, long step)
    {
        var names = arguments.GetValue(_reportTo)!;
        var json = new JsonLinesLog(directory.PathOf("log.jsonl"), step);
        return names.Contains("tensorboard", StringComparison.Ordinal) || names.Contains("all", StringComparison.Ordinal)
            ? [json, new TensorBoardLog(directory.PathOf("tensorboard"), step)]
            : [json];
    }
}
