using RegCache.Lab.Data;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Reproduction;

/// <summary>
/// Recalls of a CLIP model in float, in both directions (docs/methods/clip.md). The rows' option <c>--dataset</c> names the set; on the
/// demo model generated pairs stand for all sets.
/// </summary>
internal sealed class RetrievalRunner : TableRunner
{
    private const string Dataset = "--dataset";

    /// <inheritdoc />
    public override string Name => "retrieval";

    /// <inheritdoc />
    public override string Help => "Finds captions by images and images by captions.";

    /// <inheritdoc />
    public override bool NeedsClassNames => false;

    /// <inheritdoc />
    public override IReadOnlyList<DataVariable> Data(TableRun run) => FormatOf(run).Variable is { } variable ? [variable] : [];

    /// <inheritdoc />
    public override string Place(TableRun run, DataVariable variable, DataLocations locations)
    {
        var place = Environment.GetEnvironmentVariable(variable.Name);
        return Directory.Exists(place) ? place
            : throw new UserException(
                $"{variable.Name} ({variable.Content}) {(string.IsNullOrEmpty(place) ? "is not set" : $"names {place}, which does not exist")}: set it to the folder of {FormatOf(run).Help}");
    }

    /// <inheritdoc />
    public override string Command(TableRun run) => $"eval retrieval MODEL {Dataset} {FormatOf(run).Name} --baseline none";

    /// <inheritdoc />
    public override ExperimentOptions Configure(
        TableRun run, ExperimentOptions options, Func<ExperimentOptions, QuantizationBits, ExperimentOptions> execution) =>
        options with { WithoutImages = true };

    /// <inheritdoc />
    public override TableResult Measure(RunningTable running)
    {
        var experiment = running.Experiment;
        using var set = FormatOf(running.Run).Open(
            skipBadImages: experiment.Options.SkipBadImages, decoding: experiment.Options.Decoding, cancellation: experiment.Cancellation);
        var result = RetrievalEvaluation.Run(experiment, set, new FeatureStore(experiment.Directory, experiment.Options.CheckpointInterval));
        experiment.TellRemarks();
        experiment.WriteResult(running.CommandLine, result.Plan, new { CaptionsSha256 = set.CaptionHash(), result.Scores });
        var (images, texts) = (result.TextToImage, result.ImageToText);
        (string, double)[] values =
        [
            ("image_r1", images.RecallAt1),
            ("image_r5", images.RecallAt5),
            ("image_r10", images.RecallAt10),
            ("text_r1", texts.RecallAt1),
            ("text_r5", texts.RecallAt5),
            ("text_r10", texts.RecallAt10),
        ];
        return new($"{texts.Queries} images and {images.Queries} captions", running.Run.Rows.SelectMany(row => MeasuredCell.Of(row, values)));
    }

    /// <inheritdoc />
    protected override IEnumerable<string> RunOf(PublishedRow row, bool onDemo) => [FormatOf(row, onDemo).Name];

    private static RetrievalFormat FormatOf(TableRun run) => FormatOf(run.Rows[0], run.OnDemo);

    private static RetrievalFormat FormatOf(PublishedRow row, bool onDemo) => onDemo ? RetrievalShapes.Entry
        : row.Options.TryGetValue(Dataset, out var name) ? RetrievalFormats.All.Find(name)
        : throw new UserException($"The row '{row.InWords()}' does not tell its set ({Dataset}); correct the paper file.");
}
