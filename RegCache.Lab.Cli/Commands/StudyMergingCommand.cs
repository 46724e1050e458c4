using System.CommandLine;
using System.Security.Cryptography;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Reports;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Accuracy, multiply-accumulates and images per second of merging methods over r.</summary>
internal sealed class StudyMergingCommand : KitCommand
{
    private readonly StudyMergingOptions _options = new();

    /// <inheritdoc/>
    public override string Path => "study merging";

    /// <inheritdoc/>
    public override string Description => "Compares ways to merge tokens: accuracy, multiply-accumulates, images per second, pictures.";

    /// <inheritdoc/>
    public override void Declare(Command command) => _options.AddTo(command);

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        using var experiment = _options.Open(context);
        var layers = experiment.Tower.Blocks.Count;
        var variants = _options.Variants(context.Arguments, layers, experiment.Options.Seed);
        var tree = new PlanTree([.. variants.Select(variant => variant.Plan(layers))]);
        if (_options.Run.IsDryRun(context.Arguments))
        {
            context.Output.WriteLine(
                $"{variants.Count} plans on {experiment.Validation.Count} images: {tree.BlockForwards} block forwards an image instead of {tree.BlockForwardsAlone}.");
            return ExitCode.Success;
        }

        var scores = Accuracy(experiment, tree, variants);
        var protocol = _options.Throughput(context.Arguments);
        var speeds = Throughput.Measure(experiment.Tower, tree.Plans, protocol, experiment.Progress, context.Cancellation);
        var rows = Rows(experiment, variants, tree.Plans, scores, speeds, protocol);
        var published = _options.Published(context.Arguments);
        CsvTable.Write(experiment.Directory.PathOf("merging.csv"), rows);
        AtomicFile.WriteText(experiment.Directory.PathOf("pareto.svg"), StudyMergingReport.Plot(rows, published).ToSvg());
        experiment.TellRemarks();
        StudyMergingPictures.Write(experiment, variants, _options.Pictures(context.Arguments));
        experiment.WriteResult(
            context.CommandLine, string.Join("; ", variants.Select(variant => variant.Configuration?.ToString() ?? variant.Method)), rows);
        StudyMergingReport.Print(context.Console, rows, published);
        context.Output.WriteLine($"table, plot and pictures: {experiment.Directory.Path}");
        return ExitCode.Success;
    }

    private static IReadOnlyList<PlanScore> Accuracy(Experiment experiment, PlanTree tree, IReadOnlyList<MergingVariant> variants)
    {
        const string stage = "accuracy";
        var key = StageKey.Of(new
        {
            experiment.Hash,
            Images = experiment.Validation.Fingerprint,
            Classifier = Convert.ToHexStringLower(SHA256.HashData(experiment.Classifier.Weights.cpu().contiguous().bytes)),
            Type = experiment.Tower.Placement.ToString(),
            Plans = variants.Select(variant => variant.ToString()).ToArray(),
            experiment.Options.BatchSize,
        });
        return experiment.Stage(
            stage, key, stage, pass => PlanEvaluation.Run(experiment.Tower, experiment.Classifier, experiment.Validation, tree, pass));
    }

    private static List<MergingStudyRow> Rows(
        Experiment experiment,
        IReadOnlyList<MergingVariant> variants,
        IReadOnlyList<EncoderPlan> plans,
        IReadOnlyList<PlanScore> scores,
        IReadOnlyList<ThroughputResult> speeds,
        ThroughputOptions protocol)
    {
        var (tower, classes) = (experiment.Tower, experiment.Tower.Features);
        var macs = plans.Select(plan => MacsTable.Of(tower.Config, classes, plan)).ToArray();
        return [.. variants.Select((variant, index) => new MergingStudyRow(
            experiment.Name,
            variant.Method,
            variant.Count,
            scores[index].Accuracy,
            scores[index].AccuracyTop5,
            macs[index].Total / 1e9,
            (double)macs[0].Total / macs[index].Total,
            macs[index].Matching / 1e9,
            speeds[index].ImagesPerSecond,
            speeds[index].Ratio,
            macs[index].FinalTokens,
            scores[index].Images,
            protocol.Batch,
            experiment.Options.Precision.ToString().ToLowerInvariant(),
            experiment.Options.Device.ToString().ToLowerInvariant(),
            torch.get_num_threads()))];
    }
}
