using System.Globalization;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling;

/// <summary>
/// One pooling experiment on a model as it is, without training: patches are pooled before a block. Turns a plan into the same plan with pooling
/// (docs/methods/pooled-towers.md, "Plans").
/// </summary>
/// <param name="Rule">How boundaries are found, one of <see cref="PoolRuns.Untrained"/>.</param>
/// <param name="Rate">The wanted share of boundaries: 0.25 leaves every fourth token.</param>
/// <param name="Block">The block before which patches are pooled, 0-based.</param>
public sealed record PoolingSetting(string Rule, double Rate, int Block)
{
    /// <summary>The order in which patches are a run.</summary>
    public PatchOrder Order { get; init; }

    /// <summary>Whether attention counts a pooled token by its patches, as after merging.</summary>
    public bool ProportionalAttention { get; init; }

    /// <summary>Adds this experiment to a plan, behind what the plan does before the block.</summary>
    /// <exception cref="UserException">There is no such block, or the rule needs training.</exception>
    public EncoderPlan ApplyTo(EncoderPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        var stage = PoolRuns.WithoutTraining(Rule, Rate, Order);
        if (Block < 0 || Block >= plan.Blocks.Count)
        {
            throw new UserException($"Patches cannot be pooled before block {Block}: the encoder has blocks 0 to {plan.Blocks.Count - 1}.");
        }

        var pooled = plan.With(Block, block => block with { Before = [.. block.Before, stage] });
        return ProportionalAttention ? pooled.From(Block, block => block with { ProportionalAttention = true }) : pooled;
    }

    /// <inheritdoc />
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"pooled by {Rule}, rate {Rate}, before block {Block}{(Order == PatchOrder.Raster ? "" : $", {Order.ToString().ToLowerInvariant()} order")}{(ProportionalAttention ? ", sizes in attention" : "")}");
}
