using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training.Optimization;

/// <summary>Sorts parameters into those with weight decay and those without (clip.md, section 13.2).</summary>
public static class ParameterGroups
{
    private static readonly string[] _exempt = ["bn", "ln", "bias", "logit_scale"];

    /// <summary>
    /// Whether a parameter is decayed: it has two or more dimensions and its name contains none of <c>bn</c>, <c>ln</c>,
    /// <c>bias</c> and <c>logit_scale</c>.
    /// </summary>
    public static bool IsDecayed(string name, int dimensions) =>
        dimensions >= 2 && !_exempt.Any(part => name.Contains(part, StringComparison.Ordinal));

    /// <summary>The two groups of a model, without decay first. Only tensors that require gradients are in them.</summary>
    /// <param name="weights">The model's tensors.</param>
    /// <param name="weightDecay">Decay of the second group.</param>
    public static IReadOnlyList<ParameterGroup> Of(WeightTable weights, double weightDecay)
    {
        var trained = weights.Names
            .Select(name => new NamedParameter(name, weights[name]))
            .Where(parameter => parameter.Value.requires_grad)
            .ToLookup(parameter => IsDecayed(parameter.Name, (int)parameter.Value.Dimensions));
        return [new([.. trained[false]], 0), new([.. trained[true]], weightDecay)];
    }
}
