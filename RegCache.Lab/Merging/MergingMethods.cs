using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>The ways to shorten the token stream (token-merging.md).</summary>
public enum MergingMethod
{
    /// <summary>ToMe: merging of whole images in every block.</summary>
    TokenMerging,

    /// <summary>DFE, the dense feature extractor: the first blocks stay dense, the others are as in ToMe.</summary>
    DenseFeatureExtractor,

    /// <summary>LGTM: dense blocks, then merging inside windows, then merging of whole images.</summary>
    LocalGlobal,

    /// <summary>Baseline: tokens drawn at random merge.</summary>
    RandomMerging,

    /// <summary>Baseline: tokens drawn at random are dropped.</summary>
    RandomPruning,

    /// <summary>Baseline: the tokens that the class token attends to least are dropped.</summary>
    AttentionPruning,
}

/// <summary>One point of a study: a method at one r.</summary>
/// <param name="Method">Short name, or "plain".</param>
/// <param name="Count">r.</param>
/// <param name="Configuration">The experiment; null for the plain model.</param>
public sealed record MergingVariant(string Method, int Count, MergingConfiguration? Configuration)
{
    /// <summary>The name of the model without merging.</summary>
    public const string PlainName = "plain";

    /// <summary>The plain model, then every method at every r from 1 on.</summary>
    /// <param name="methods">Methods, as settings without an r, by their names.</param>
    /// <param name="counts">The values of r.</param>
    public static IReadOnlyList<MergingVariant> Of(
        IEnumerable<(string Name, MergingConfiguration Setting)> methods, IReadOnlyList<int> counts) =>
    [
        new(PlainName, 0, null),
        .. methods.SelectMany(method => counts.Where(count => count > 0).Distinct().Order().Select(count =>
            new MergingVariant(method.Name, count, method.Setting with { Schedule = MergeSchedule.Constant(count) }))),
    ];

    /// <summary>The variant's plan for an encoder without other changes.</summary>
    public EncoderPlan Plan(int blocks) => Configuration?.ApplyTo(EncoderPlan.Plain(blocks)) ?? EncoderPlan.Plain(blocks);
}

/// <summary>One merging experiment; turns a plan into the same plan with merging.</summary>
/// <param name="Method">How the stream is shortened.</param>
/// <param name="Schedule">
/// How many tokens every block merges. Local-global merging and the dense feature extractor take their r from it.
/// </param>
public sealed record MergingConfiguration(MergingMethod Method, MergeSchedule Schedule)
{
    /// <summary>First block that merges, of DFE and LGTM.</summary>
    public int LocalStart { get; init; }

    /// <summary>First block of LGTM that merges whole images.</summary>
    public int GlobalStart { get; init; }

    /// <summary>
    /// Whether attention counts a token by its size (token-merging.md, section 4): on for supervised models and those
    /// trained with merging, off for off-the-shelf MAE models.
    /// </summary>
    public bool ProportionalAttention { get; init; } = true;

    /// <summary>How merging treats outlier tokens.</summary>
    public OutlierRule Outliers { get; init; } = OutlierRule.None;

    /// <summary>Whether the stream notes which tokens each token is made of.</summary>
    public bool TrackSources { get; init; }

    /// <summary>Seed of the random baselines.</summary>
    public long Seed { get; init; }

    /// <summary>ToMe with r tokens in every block.</summary>
    public static MergingConfiguration TokenMerging(int count) =>
        new(MergingMethod.TokenMerging, MergeSchedule.Constant(count));

    /// <summary>DFE: r tokens in every block after the dense ones.</summary>
    public static MergingConfiguration DenseFeatureExtractor(int count, int denseBlocks) =>
        new(MergingMethod.DenseFeatureExtractor, MergeSchedule.Constant(count)) { LocalStart = denseBlocks };

    /// <summary>LGTM: blocks before <paramref name="localStart"/> are dense, those from <paramref name="globalStart"/> on global.</summary>
    public static MergingConfiguration LocalGlobal(int count, int localStart, int globalStart) =>
        new(MergingMethod.LocalGlobal, MergeSchedule.Constant(count)) { LocalStart = localStart, GlobalStart = globalStart };

    /// <summary>The published settings, by their names in <see cref="Presets"/>.</summary>
    /// <exception cref="UserException">There is no preset of that name.</exception>
    public static MergingConfiguration Preset(string name, int count) => Presets.TryGetValue(name, out var starts)
        ? LocalGlobal(count, starts.LocalStart, starts.GlobalStart)
        : throw new UserException($"There is no merging preset '{name}'; choose {string.Join(", ", Presets.Keys)}.");

    /// <summary>First local and first global block of LGTM on 12 (s, b) and 24 blocks (l), and as its text says literally.</summary>
    public static IReadOnlyDictionary<string, (int LocalStart, int GlobalStart)> Presets { get; } =
        new SortedDictionary<string, (int, int)>
        {
            ["lgtm-s"] = (1, 7),
            ["lgtm-b"] = (1, 7),
            ["lgtm-l"] = (4, 7),
            ["lgtm-readme"] = (2, 7),
        };

    /// <summary>Block 7 of 12, scaled to another depth.</summary>
    public static int ScaledGlobalStart(int blocks) => (int)Math.Round(7.0 * blocks / 12, MidpointRounding.AwayFromZero);

    /// <summary>Adds this experiment to a plan. Blocks before the first that merges stay as they are.</summary>
    /// <exception cref="UserException">The settings do not fit the number of blocks, or each other.</exception>
    public EncoderPlan ApplyTo(EncoderPlan plan)
    {
        var blocks = plan.Blocks.Count;
        if (LocalStart < 0 || LocalStart > blocks || (Method == MergingMethod.LocalGlobal && (GlobalStart < LocalStart || GlobalStart > blocks)))
        {
            throw new UserException(
                $"Merging from block {LocalStart}, globally from block {GlobalStart}, does not fit a model of {blocks} blocks; choose 0 <= local <= global <= {blocks}.");
        }

        var stages = Schedule.Counts(blocks).Select((count, block) => count == 0 || block < LocalStart ? null : Stage(count, block)).ToArray();
        var first = Array.FindIndex(stages, stage => stage is not null);
        if (first < 0)
        {
            return plan;
        }

        // The sizes are all one until the first merge, so the block that does it needs no proportional attention.
        var merging = stages.Index().Where(pair => pair.Item is not null).Aggregate(
            plan, (result, pair) => result.With(pair.Index, block => block with { Between = [.. block.Between, pair.Item!] }));
        var weighted = ProportionalAttention
            ? merging.From(first + 1, block => block with { ProportionalAttention = true })
            : merging;
        return TrackSources
            ? weighted.With(first, block => block with { Before = [.. block.Before, new TrackSources()] })
            : weighted;
    }

    /// <inheritdoc />
    public override string ToString() => Method switch
    {
        MergingMethod.DenseFeatureExtractor => $"DFE, r {Schedule} from block {LocalStart}",
        MergingMethod.LocalGlobal => $"LGTM, r {Schedule}, windows from block {LocalStart}, whole images from block {GlobalStart}",
        MergingMethod.TokenMerging => $"ToMe, r {Schedule}",
        MergingMethod.RandomMerging => $"random merging, r {Schedule}",
        MergingMethod.RandomPruning => $"random pruning, r {Schedule}",
        _ => $"attention pruning, r {Schedule}",
    };

    private ITokenStage Stage(int count, int block) => Method switch
    {
        MergingMethod.RandomMerging => new RandomMerging(count, Seed),
        MergingMethod.RandomPruning => new RandomPruning(count, Seed),
        MergingMethod.AttentionPruning => new AttentionPruning(count),
        MergingMethod.LocalGlobal when block < GlobalStart =>
            new MergeInWindows((count + WindowGrid.Windows - 1) / WindowGrid.Windows) { Outliers = Outliers },
        _ => new MergeTokens(count) { Outliers = Outliers },
    };
}
