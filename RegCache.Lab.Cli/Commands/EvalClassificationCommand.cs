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

    private readonly PrefixSettingOptions _setting = new();

    /// <inheritdoc/>
    public override string Path => "eval classification";

    /// <inheritdoc/>
    public override string Description => "Zero-shot classification of IMAGENET_VAL: float, quantized, and quantized with a RegCache setting.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _options.AddTo(command);
        _setting.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        using var session = RegCacheSession.Open(context, _options);
        var (subject, directory) = (session.Subject, session.Directory);
        using var cache = _setting.LoadPrefix(context.Arguments);
        var setting = _setting.Read(context.Arguments, cache, subject.Tower);
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
            session.Calibration(session.Options.Bits),
            setting,
            cache?.ToPrefix(subject.Tower.Placement.Device),
            new EvaluationRun("evaluation", subject.BatchSize) { Progress = directory.Progress, Cancellation = context.Cancellation });
        session.ReportUnreadable();
        session.ReportExecution();
        directory.WriteResult(SessionProvenance.Of(context, session, run), new { setting, scores });
        FinalTable.Print(context.Console, scores, session.Options.Bits);
        context.Output.WriteLine($"top-1 {scores.Both.Accuracy:0.00} %, top-5 {scores.Both.AccuracyTop5:0.00} % of {scores.Both.Images} images");
        return ExitCode.Success;
    }
}
