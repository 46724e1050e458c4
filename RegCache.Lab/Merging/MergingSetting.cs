using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>One merging experiment, a method with everything that is set about it; turns a plan into the same plan with merging.</summary>
/// <param name="Method">How the stream is shortened.</param>
/// <param name="Schedule">How many tokens every block merges. DFE and LGTM leave their dense blocks out.</param>
public sealed record MergingSetting(MergingMethod Method, MergeSchedule Schedule)
{
    /// <summary>The model without merging, which others are compared with.</summary>
    public static MergingSetting Plain { get; } = new(new("plain", "The model without merging.", _ => null), MergeSchedule.Constant(0));

    /// <summary>What was chosen about the method; what is missing is at its default.</summary>
    public MethodValues Options { get; init; } = MethodValues.None;

    /// <summary>
    /// Whether attention counts a token by its size, <c>softmax(Q K^T / sqrt(d) + log s)</c> (Bolya et al. 2023, equation 1): on
    /// for supervised models and those trained with merging, off for off-the-shelf MAE models.
    /// </summary>
    public bool ProportionalAttention { get; init; } = true;

    /// <summary>How merging treats outlier tokens.</summary>
    public OutlierRule Outliers { get; init; } = OutlierRule.None;

    /// <summary>Whether the stream notes which tokens each token is made of.</summary>
    public bool TrackSources { get; init; }

    /// <summary>Seed of the random baselines.</summary>
    public long Seed { get; init; }

    /// <summary>ToMe with r tokens in every block.</summary>
    public static MergingSetting ToMe(int count) => new(MergingMethods.ToMe, MergeSchedule.Constant(count));

    /// <summary>DFE: r tokens in every block after the dense ones.</summary>
    public static MergingSetting Dfe(int count, int denseBlocks) =>
        new(MergingMethods.Dfe, MergeSchedule.Constant(count)) { Options = Values((MergingMethods.Dense, denseBlocks)) };

    /// <summary>LGTM: blocks before <paramref name="localStart"/> are dense, those from <paramref name="globalStart"/> on global.</summary>
    public static MergingSetting Lgtm(int count, int localStart, int globalStart) =>
        new(MergingMethods.Lgtm, MergeSchedule.Constant(count))
        {
            Options = Values((MergingMethods.LocalStart, localStart), (MergingMethods.GlobalStart, globalStart)),
        };

    /// <summary>Adds this experiment to a plan. Blocks before the first that merges stay as they are.</summary>
    /// <exception cref="UserException">The setting does not fit the number of blocks.</exception>
    public EncoderPlan ApplyTo(EncoderPlan plan)
    {
        var blocks = plan.Blocks.Count;
        var stages = Schedule.Counts(blocks)
            .Select((count, block) => count == 0 ? null : Method.Stage(new(block, blocks, count, this))).ToArray();
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
    public override string ToString() => string.Concat(
        $"{Method} {Options}".TrimEnd(),
        $", r {Schedule}",
        ProportionalAttention ? "" : ", sizes not in attention",
        Outliers == OutlierRule.None ? "" : $", {Outliers}");

    private static MethodValues Values(params (MethodOption Option, int Value)[] values) =>
        new(values.ToDictionary(pair => pair.Option.Name, pair => $"{pair.Value}"));
}
