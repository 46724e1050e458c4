using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

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
