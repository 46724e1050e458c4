using CsvHelper;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Memory;

/// <summary>
/// What distillation and finetuning make of a model: retrieval by a teacher and by its students on the same images and captions, and what
/// each of them costs (docs/methods/memory.md). Every model is taken whole: a finetuned one with its own text tower and logit scale.
/// </summary>
public static class MemoryStudy
{
    /// <summary>The frozen CLIP that the students learned from.</summary>
    public const string Teacher = "teacher";

    /// <summary>The student after distillation.</summary>
    public const string Distilled = "distilled";

    /// <summary>The student after finetuning on long captions.</summary>
    public const string Finetuned = "finetuned";

    /// <summary>
    /// How a student is opened beside its teacher: what its files lack (configuration, tokenizer, text tower, logit scale) is the teacher's.
    /// </summary>
    /// <param name="student">A model folder or a weight file; memory layers are found by the names of its tensors.</param>
    /// <param name="teacher">How the teacher is opened.</param>
    /// <exception cref="UserException">There is no such model.</exception>
    public static ExperimentOptions StudentOptions(string student, ExperimentOptions teacher)
    {
        ArgumentNullException.ThrowIfNull(teacher);
        var place = teacher.Model is { Length: > 0 } named ? named : ModelFolder.FindDemo();
        var hasConfig = ModelFolder.Open(student).Config is not null;
        return teacher with
        {
            Model = student,
            Base = new(place, teacher.WeightsKey),
            WeightsKey = null,
            ModelConfig = hasConfig ? null : teacher.ModelConfig ?? ModelFolder.Open(place).Config,
            Heads = hasConfig ? null : teacher.Heads,
        };
    }

    /// <summary>Measures all models on a set.</summary>
    /// <param name="models">The models; the first is the teacher, which the others are compared with.</param>
    /// <param name="name">The set's name, for tables.</param>
    /// <param name="split">Its part, for tables.</param>
    /// <param name="set">The set.</param>
    /// <param name="store">Where features are kept; null: nowhere.</param>
    /// <returns>Features, ranks and rows, which the caller disposes.</returns>
    /// <exception cref="UserException">A model has no text tower, an image or caption cannot be read, or a feature is not finite.</exception>
    public static MeasuredSet Measure(
        IReadOnlyList<StudiedModel> models, string name, string split, RetrievalSet set, FeatureStore? store = null)
    {
        ArgumentNullException.ThrowIfNull(models);
        return new(name, split, set, [.. models.Select(model =>
        {
            model.Experiment.Progress.Message($"{name}: the {model.Role}, {model.Experiment.Name}");
            var features = RetrievalEvaluation.Features(model.Experiment, set, store);
            return new MeasuredModel(model, features, features.Rank(model.Experiment.Cancellation));
        })]);
    }

    /// <summary>What the models are made of, and how fast their image encoders are.</summary>
    /// <param name="models">The models; the first is the teacher.</param>
    /// <param name="speeds">Images per second of each; null: not measured.</param>
    public static IReadOnlyList<MemoryModelRow> Costs(IReadOnlyList<StudiedModel> models, IReadOnlyList<ThroughputResult>? speeds = null)
    {
        ArgumentNullException.ThrowIfNull(models);
        return [.. models.Select((model, index) =>
        {
            var (tower, config) = (model.Experiment.Tower, model.Experiment.Model.Config);
            var report = config.Vision.Memory is null ? null : MemoryReport.Of(config);
            return new MemoryModelRow(
                model.Role,
                model.Experiment.Name,
                report is null ? "" : string.Join(' ', report.Blocks),
                report?.Vision ?? CountVision(config),
                report?.Removed ?? 0,
                report?.Added ?? 0,
                report?.Table ?? 0,
                report?.Net ?? 0,
                MacsTable.Of(tower.Config, tower.Features, EncoderPlan.Plain(tower.Blocks.Count)).Total / 1e9,
                speeds?[index].ImagesPerSecond,
                speeds?[index].Ratio);
        })];
    }

    private static long CountVision(ClipConfig config) => ClipParameters.Of(config)
        .Where(parameter => parameter.Name.StartsWith("visual.", StringComparison.Ordinal))
        .Sum(parameter => parameter.Shape.Aggregate(1L, (product, size) => product * size));
}

/// <summary>A model of a study.</summary>
/// <param name="Role">What it is: <see cref="MemoryStudy.Teacher"/>, <see cref="MemoryStudy.Distilled"/>, <see cref="MemoryStudy.Finetuned"/>, or another word.</param>
/// <param name="Experiment">The opened model; whoever opened it disposes it.</param>
public sealed record StudiedModel(string Role, Experiment Experiment);

/// <summary>A model's features of a set, with their ranks.</summary>
/// <param name="Model">The model.</param>
/// <param name="Features">Its features.</param>
/// <param name="Ranks">Their ranks.</param>
public sealed record MeasuredModel(StudiedModel Model, RetrievalFeatures Features, RetrievalRanks Ranks);

/// <summary>All models on a set.</summary>
/// <param name="Name">The set's name.</param>
/// <param name="Split">Its part.</param>
/// <param name="Set">The set.</param>
/// <param name="Models">The models' features and ranks; the first is the teacher's.</param>
public sealed record MeasuredSet(string Name, string Split, RetrievalSet Set, IReadOnlyList<MeasuredModel> Models) : IDisposable
{
    /// <summary>The table: both directions, a row for each model.</summary>
    public IReadOnlyList<MemoryStudyRow> Rows =>
    [
        .. RowsOf("image to text", ranks => ranks.ImageToText),
        .. RowsOf("text to image", ranks => ranks.TextToImage),
    ];

    /// <summary>The students' queries that the teacher fails, see <see cref="RetrievalErrors.Gaps"/>.</summary>
    /// <param name="student">One of <see cref="Models"/>.</param>
    /// <param name="depth">How many answers are looked at, K.</param>
    /// <param name="shown">How many answers of a query are kept.</param>
    public IReadOnlyList<RetrievalGap> Gaps(MeasuredModel student, int depth = 5, int shown = 10) =>
        RetrievalErrors.Gaps(Set, (Models[0].Features, Models[0].Ranks), (student.Features, student.Ranks), depth, shown);

    /// <inheritdoc />
    public void Dispose() => Models.ToList().ForEach(model => model.Features.Dispose());

    private IEnumerable<MemoryStudyRow> RowsOf(string direction, Func<RetrievalRanks, RankList> of)
    {
        var teacher = of(Models[0].Ranks);
        return Models.Select(model =>
        {
            var ranks = of(model.Ranks);
            var score = RetrievalScore.Of(direction, ranks);
            var pairs = ranks.Ranks.Zip(teacher.Ranks).ToList();
            return new MemoryStudyRow(
                Name,
                Split,
                direction,
                model.Model.Role,
                score.Queries,
                score.RecallAt1,
                score.RecallAt5,
                score.RecallAt10,
                score.MeanRank,
                score.MedianRank,
                score.RecallAt1 - teacher.PercentAt(1),
                pairs.Count(pair => pair.First == 0 && pair.Second > 0),
                pairs.Count(pair => pair.First > 0 && pair.Second == 0));
        });
    }
}

/// <summary>A row of <c>memory.csv</c>; recalls in percent, ranks from 1.</summary>
/// <param name="Dataset">The set.</param>
/// <param name="Split">Its part.</param>
/// <param name="Direction"><c>image to text</c> or <c>text to image</c>.</param>
/// <param name="Model">The model's role: teacher, distilled, finetuned.</param>
/// <param name="Queries">Number of queries.</param>
/// <param name="R1">Recall at 1.</param>
/// <param name="R5">Recall at 5.</param>
/// <param name="R10">Recall at 10.</param>
/// <param name="MeanRank">Mean rank.</param>
/// <param name="MedianRank">Median rank.</param>
/// <param name="R1Change">Recall at 1 minus the teacher's, in points.</param>
/// <param name="Gained">Queries whose best answer is right here and wrong by the teacher.</param>
/// <param name="Lost">Queries whose best answer is wrong here and right by the teacher.</param>
[CsvRecord]
public sealed partial record MemoryStudyRow(
    string Dataset,
    string Split,
    string Direction,
    string Model,
    int Queries,
    double R1,
    double R5,
    double R10,
    double MeanRank,
    double MedianRank,
    double R1Change,
    int Gained,
    int Lost);

/// <summary>A row of <c>models.csv</c>: what a model's image encoder is made of and costs.</summary>
/// <param name="Model">Its role: teacher, distilled, finetuned.</param>
/// <param name="Name">The model's name.</param>
/// <param name="MemoryBlocks">The blocks with a memory; empty without any.</param>
/// <param name="VisionParameters">Parameters of the vision tower, a shared table counted once.</param>
/// <param name="MlpRemoved">Parameters of the MLPs that memories replace.</param>
/// <param name="MemoryAdded">Parameters of the memories, their tables included.</param>
/// <param name="Table">Parameters of the tables alone.</param>
/// <param name="Net">Added minus removed.</param>
/// <param name="Gmacs">Multiply-accumulates of an image, in 10^9.</param>
/// <param name="ImagesPerSecond">Images per second on random images; empty: not measured.</param>
/// <param name="SpeedRatio">The same over the teacher's, median of paired measurements.</param>
[CsvRecord]
public sealed partial record MemoryModelRow(
    string Model,
    string Name,
    string MemoryBlocks,
    long VisionParameters,
    long MlpRemoved,
    long MemoryAdded,
    long Table,
    long Net,
    double Gmacs,
    double? ImagesPerSecond,
    double? SpeedRatio);
