namespace RegCache.Lab.Training;

/// <summary>The constants of LAMB.</summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="MaxGradientNorm">Where the norm of all gradients is larger, they are divided by norm over this; infinity never does.</param>
public sealed record LambOptions(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-6, double MaxGradientNorm = 1);

/// <summary>
/// Layer-wise adaptive moments for large batches (You et al. 2020, arXiv:1904.00962, algorithm 2), as DeiT III trains with it: Adam's
/// direction u plus <c>wd p</c>, scaled for every tensor by <c>|p| / |u|</c>, then <c>p -= lr u</c>. Where one of the norms is 0 the scale
/// is 1; tensors without weight decay are not scaled. Nothing waits for the device.
/// </summary>
/// <param name="groups">What is trained, see <see cref="ParameterGroups"/>.</param>
/// <param name="options">The constants.</param>
public sealed class Lamb(IReadOnlyList<ParameterGroup> groups, LambOptions options) : Optimizer(groups, "exp_avg", "exp_avg_sq")
{
    /// <summary>The entry in the list of optimisers.</summary>
    public static OptimizerKind Entry { get; } = new(
        "lamb", "Adam whose steps are scaled by each tensor's own norm, for large batches.",
        (groups, set) => new Lamb(groups, new(set.Beta1, set.Beta2, set.Epsilon)));

    /// <inheritdoc />
    protected override void Update(IReadOnlyList<ParameterUpdate> updates, double learningRate, GradientScale scale)
    {
        var factor = scale.ToTensor();
        var stepCorrection = 1 / (1 - Math.Pow(options.Beta1, Steps));
        var rootCorrection = Math.Sqrt(1 - Math.Pow(options.Beta2, Steps));
        foreach (var update in updates)
        {
            using var scope = torch.NewDisposeScope();
            var gradient = update.ScaledGradient(factor);
            var (first, second) = (update.Moments[0], update.Moments[1]);
            first.mul_(options.Beta1).add_(gradient, 1 - options.Beta1);
            second.mul_(options.Beta2).addcmul_(gradient, gradient, 1 - options.Beta2);
            var direction = (first * stepCorrection).div_(second.sqrt().div_(rootCorrection).add_(options.Epsilon));
            if (update.WeightDecay != 0)
            {
                direction.add_(update.Value, update.WeightDecay);
                var (size, length) = (update.Value.square().sum().sqrt(), direction.square().sum().sqrt());
                direction.mul_(torch.where((size > 0).logical_and(length > 0), size / length, torch.ones_like(size)));
            }

            update.Value.add_(direction, -learningRate);
        }
    }

    /// <inheritdoc />
    protected override GradientScale Clip(GradientScale scale)
    {
        if (double.IsPositiveInfinity(options.MaxGradientNorm))
        {
            return scale;
        }

        // Clipping twice is clipping to the smaller norm; the caller's norm is that of the same gradients.
        return scale.Norm is not null
            ? scale with { Most = Math.Min(scale.Most, options.MaxGradientNorm) }
            : new(GradientNorm(), options.MaxGradientNorm, Epsilon: 0);
    }
}
