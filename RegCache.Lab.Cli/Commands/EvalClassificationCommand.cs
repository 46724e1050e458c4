using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Stage 6 alone: zero-shot classification with a given RegCache setting, or without.</summary>
internal sealed class EvalClassificationCommand : KitCommand
{
    private readonly SessionOptions _options = new(needsSearchImages: false);

    private readonly Option<string?> _prefix = new("--prefix")
    {
        Description = "Prefix file that `extract` wrote; without one and without --delete-count the baseline alone is evaluated.",
        HelpName = "FILE",
    };

    private readonly Option<int> _prefixCount = OptionOf.Number("--prefix-count", "Prefix tokens.", 1, 1, 4096);

    private readonly Option<int?> _deleteBlock = OptionOf.OptionalNumber("--delete-block", "Block before which tokens are deleted.", 0, 4096);

    private readonly Option<int> _deleteCount = OptionOf.Number("--delete-count", "Deleted tokens.", 0, 0, 65536);

    /// <inheritdoc/>
    public override string Path => "eval classification";

    /// <inheritdoc/>
    public override string Description => "Zero-shot classification of IMAGENET_VAL: float, quantized, and quantized with a RegCache setting.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _options.AddTo(command);
        foreach (var option in new Option[] { _prefix, _prefixCount, _deleteBlock, _deleteCount })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        using var session = RegCacheSession.Open(context, _options);
        var (subject, directory) = (session.Subject, session.Directory);
        using var cache = context.Arguments.GetValue(_prefix) is { } path ? PrefixCache.Load(path) : null;
        var setting = Setting(context.Arguments, cache, subject.Tower);
        var run = _options.Run.Read(context.Arguments);
        if (run.DryRun)
        {
            context.Output.WriteLine(
                $"5 plans on {subject.ValidationImages.Count} images: {setting}; at most {5 * subject.Tower.Blocks.Count} block forwards an image.");
            return ExitCode.Success;
        }

        var scores = FinalScores.Run(
            subject.Tower,
            subject.Classifier,
            subject.ValidationImages,
            EncoderPlan.Uniform(subject.Tower.Blocks.Count, subject.Quantizer(session.Options.Bits)),
            setting,
            cache?.ToPrefix(subject.Tower.Placement.Device),
            new EvaluationRun("evaluation", subject.BatchSize) { Progress = directory.Progress, Cancellation = context.Cancellation });
        session.ReportUnreadable();
        directory.WriteResult(SessionProvenance.Of(context, session, run), new { setting, scores });
        FinalTable.Print(context.Console, scores, session.Options.Bits);
        context.Output.WriteLine($"top-1 {scores.Both.Accuracy:0.00} %, top-5 {scores.Both.AccuracyTop5:0.00} % of {scores.Both.Images} images");
        return ExitCode.Success;
    }

    private RegCacheConfiguration Setting(ParseResult arguments, PrefixCache? cache, VisionTower tower)
    {
        var (layers, deleteCount) = (tower.Blocks.Count, arguments.GetValue(_deleteCount));
        var deleteBlock = arguments.GetValue(_deleteBlock);
        if (deleteCount > 0 && deleteBlock is null)
        {
            throw new UserException($"--delete-count {deleteCount}: say before which block (--delete-block K, 0 to {layers - 1}).");
        }

        if (deleteBlock >= layers || deleteCount >= tower.Config.Patches)
        {
            throw new UserException(
                $"--delete-block {deleteBlock} --delete-count {deleteCount}: the model has {layers} blocks and {tower.Config.Patches} patch tokens; choose smaller numbers.");
        }

        if (cache is not null && (cache.ExtractionBlock + cache.Keys.shape[0] != layers || cache.Keys.shape[1] != tower.Config.Width))
        {
            throw new UserException(
                $"The prefix is for {cache.ExtractionBlock + cache.Keys.shape[0]} blocks of width {cache.Keys.shape[1]}, but the model has {layers} of width {tower.Config.Width}; extract one with this model.");
        }

        return new(cache?.ExtractionBlock ?? 0, cache is null ? 0 : arguments.GetValue(_prefixCount), deleteBlock ?? 0, deleteCount);
    }
}
