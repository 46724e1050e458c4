using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training;

/// <summary>Sorts parameters into those with weight decay and those without, as OpenCLIP does (docs/methods/clip.md, "Optimizer").</summary>
public static class ParameterGroups
{
    private static readonly string[] _exempt = ["bn", "ln", "bias", "logit_scale"];

    /// <summary>
    /// Whether a parameter is decayed: it has two or more dimensions and its name contains none of <c>bn</c>, <c>ln</c>,
    /// <c>bias</c> and <c>logit_scale</c>.
    /// </summary>
    public static bool IsDecayed(string name, int dimensions) =>
        dimensions >= 2 && !_exempt.Any(part => name.Contains(part, StringComparison.Ordinal));

    /// <summary>
    /// The groups of a model, without decay first; those with a learning rate of their own are apart. Only tensors that require gradients
    /// are in them, a shared one once.
    /// </summary>
    /// <param name="weights">The model's tensors.</param>
    /// <param name="weightDecay">Decay of those that are decayed.</param>
    /// <param name="fixedRate">The constant learning rate of a parameter by its name, or null; null: no parameter has one.</param>
    /// <param name="isDecayed">Which parameters are decayed, by name and dimensions; null: as OpenCLIP chooses.</param>
    public static IReadOnlyList<ParameterGroup> Of(
        WeightTable weights, double weightDecay, Func<string, double?>? fixedRate = null, Func<string, int, bool>? isDecayed = null)
    {
        isDecayed ??= IsDecayed;
        var trained = weights.Parameters
            .Select(pair => new NamedParameter(pair.Key, pair.Value))
            .Where(parameter => parameter.Value.requires_grad)
            .ToLookup(parameter => (isDecayed(parameter.Name, (int)parameter.Value.Dimensions), fixedRate?.Invoke(parameter.Name)));
        return
        [
            new([.. trained[(false, null)]], 0),
            new([.. trained[(true, null)]], weightDecay),
            .. trained.Where(group => group.Key.Item2 is not null)
                .Select(group => new ParameterGroup([.. group], group.Key.Item1 ? weightDecay : 0) { FixedLearningRate = group.Key.Item2 }),
        ];
    }
}

/// <summary>Parameters that share their weight decay.</summary>
/// <param name="Parameters">The parameters, in checkpoint order.</param>
/// <param name="WeightDecay">Decoupled weight decay, multiplied by the learning rate at each step.</param>
public sealed record ParameterGroup(IReadOnlyList<NamedParameter> Parameters, double WeightDecay)
{
    /// <summary>A learning rate that no schedule changes; null follows the schedule.</summary>
    public double? FixedLearningRate { get; init; }
}

/// <summary>A tensor that training changes.</summary>
/// <param name="Name">Its name in the checkpoint.</param>
/// <param name="Value">The tensor; a leaf that requires gradients.</param>
public readonly record struct NamedParameter(string Name, Tensor Value);
