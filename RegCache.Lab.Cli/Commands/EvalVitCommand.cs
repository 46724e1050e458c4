using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Accuracy and loss of a ViT classifier on a labelled set.</summary>
internal sealed class EvalVitCommand : KitCommand
{
    private readonly LateTokenOptions _model = new();
    private readonly RunOptions _run = new();

    private readonly Option<string> _data = new("--data", "--dataset", "--data-path")
    {
        Description = $"The labelled set: {ImageSetFormats.AddressHelp}.",
        HelpName = "SET",
        Required = true,
    };

    private readonly Option<int?> _count = OptionOf.OptionalNumber("--count", "Most images, spread over the set. [default: all]", 1, int.MaxValue);

    /// <inheritdoc/>
    public override string Path => "eval vit";

    /// <inheritdoc/>
    public override string Description => "Top-1 and top-5 accuracy and mean cross entropy of a ViT classifier on CIFAR, class folders or any other labelled set.";

    /// <inheritdoc/>
    public override bool SharesWork => true;

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _model.AddTo(command);
        command.AddGroup(OptionGroups.Data, _data, _count);
        _run.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var options = _run.Read(arguments, _model.Read(arguments, new()
        {
            ValidationImages = arguments.GetRequiredValue(_data),
            ValidationVariable = null,
            ValidationCount = arguments.GetValue(_count),
            DefaultRunDirectory = model => System.IO.Path.Combine("runs", $"vit_{model}".ToLowerInvariant()),
        }));
        using var experiment = Experiment.Open(options, context.Progress, context.Cancellation);
        if (experiment.Model.Text is not null)
        {
            throw new UserException($"{options.Model} is a CLIP model; `regcache eval classification` evaluates those.");
        }

        if (_run.IsDryRun(arguments))
        {
            context.Output.WriteLine($"{experiment.Validation.Count} images, {experiment.Model.Config.Describe()}");
            return ExitCode.Success;
        }

        var key = StageKey.Of(new { experiment.ModelKey, Images = experiment.Validation.Fingerprint, experiment.Options.BatchSize, Places = $"{experiment.Tower.Config.LateTokens}" });
        var score = experiment.Directory.Stages.GetOrCompute("vit", key, () => VitEvaluation.Run(experiment.Tower, experiment.Validation, experiment.Pass("images")));
        experiment.TellRemarks();
        experiment.WriteResult(context.CommandLine, experiment.Model.Config.Describe(), score);
        context.Console.Write(new Table()
            .AddColumns("model", "tokens", "images", "classes", "top-1 %", $"top-{Math.Min(5, score.Classes)} %", "loss")
            .AddRow(
                Markup.Escape(experiment.Name),
                experiment.Tower.Config.LateTokens?.Describe() ?? "from the start",
                $"{score.Images}", $"{score.Classes}", $"{score.Top1:0.00}", $"{score.Top5:0.00}", $"{score.Loss:0.0000}"));
        context.Output.WriteLine(FormattableString.Invariant(
            $"top-1 {score.Top1:0.00} %, top-{Math.Min(5, score.Classes)} {score.Top5:0.00} %, loss {score.Loss:0.0000} of {score.Images} images"));
        return ExitCode.Success;
    }
}
