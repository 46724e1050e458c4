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
        using var subject = StudyMergingSubject.Open(context, _options);
        var run = _options.Run.Read(context.Arguments);
        var layers = subject.Tower.Blocks.Count;
        var variants = _options.Variants(context.Arguments, layers, run.Seed);
        var tree = new PlanTree([.. variants.Select(variant => variant.Plan(layers))]);
        if (run.DryRun)
        {
            context.Output.WriteLine(
                $"{variants.Count} plans on {subject.Images.Count} images: {tree.BlockForwards} block forwards an image instead of {tree.BlockForwardsAlone}.");
            return ExitCode.Success;
        }

        var scores = Accuracy(subject, tree, variants, run.Batch, context.Cancellation);
        var protocol = _options.Throughput(context.Arguments);
        var speeds = Throughput.Measure(subject.Tower, tree.Plans, protocol, subject.Directory.Progress, context.Cancellation);
        var rows = Rows(subject, variants, tree.Plans, scores, speeds, protocol, run);
        var published = _options.Published(context.Arguments);
        CsvTable.Write(subject.Directory.PathOf("merging.csv"), rows);
        AtomicFile.WriteText(subject.Directory.PathOf("pareto.svg"), StudyMergingReport.Plot(rows, published).ToSvg());
        StudyMergingPictures.Write(subject, variants, _options.Pictures(context.Arguments));
        subject.Images.TellUnreadable(subject.Directory.Progress);
        subject.Directory.WriteResult(Provenance(context, subject, run, variants), rows);
        StudyMergingReport.Print(context.Console, rows, published);
        context.Output.WriteLine($"table, plot and pictures: {subject.Directory.Path}");
        return ExitCode.Success;
    }

    private static IReadOnlyList<PlanScore> Accuracy(
        StudyMergingSubject subject, PlanTree tree, IReadOnlyList<MergingVariant> variants, int batch, CancellationToken cancellation)
    {
        const string stage = "accuracy";
        var stages = subject.Directory.Stages;
        var key = StageKey.Of(new
        {
            subject.Hash,
            Images = subject.Images.Fingerprint,
            Classifier = Convert.ToHexStringLower(SHA256.HashData(subject.Classifier.Weights.cpu().contiguous().bytes)),
            Type = subject.Tower.Placement.ToString(),
            Plans = variants.Select(variant => variant.ToString()).ToArray(),
            batch,
        });
        if (stages.TryLoad(stage, key, out IReadOnlyList<PlanScore>? known))
        {
            return known;
        }

        var pass = new EvaluationRun(stage, batch)
        {
            Progress = subject.Directory.Progress,
            Checkpoint = stages.Checkpoint<PassState>(stage, key),
            Cancellation = cancellation,
        };
        var scores = PlanEvaluation.Run(subject.Tower, subject.Classifier, subject.Images, tree, pass);
        stages.Save(stage, key, scores);
        return scores;
    }

    private static List<MergingStudyRow> Rows(
        StudyMergingSubject subject,
        IReadOnlyList<MergingVariant> variants,
        IReadOnlyList<EncoderPlan> plans,
        IReadOnlyList<PlanScore> scores,
        IReadOnlyList<ThroughputResult> speeds,
        ThroughputOptions protocol,
        RunSettings run)
    {
        var (tower, classes) = (subject.Tower, subject.Tower.Features);
        var macs = plans.Select(plan => MacsTable.Of(tower.Config, classes, plan)).ToArray();
        return [.. variants.Select((variant, index) => new MergingStudyRow(
            subject.Name,
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
            run.Precision.ToString().ToLowerInvariant(),
            run.Device.ToString().ToLowerInvariant(),
            torch.get_num_threads()))];
    }

    private static Provenance Provenance(
        CommandContext context, StudyMergingSubject subject, RunSettings run, IReadOnlyList<MergingVariant> variants) => new(
        DateTimeOffset.Now,
        context.CommandLine,
        run.Seed,
        string.Join("; ", variants.Select(variant => variant.Configuration?.ToString() ?? variant.Method)),
        new Dictionary<string, string> { [subject.Name] = subject.Hash },
        new Dictionary<string, string> { ["IMAGENET_VAL"] = subject.Images.Fingerprint },
        KitVersions.Current)
    {
        Inventory = [subject.Images.Inventory],
    };
}
