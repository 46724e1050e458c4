namespace RegCache.Lab.Training;

/// <summary>The constants of AdamW.</summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
public sealed record AdamWOptions(double Beta1 = 0.9, double Beta2 = 0.98, double Epsilon = 1e-6);

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2): <c>p -= lr wd p</c>, then
/// <c>p -= lr m_hat / (sqrt(v_hat) + eps)</c> with bias-corrected moments. On the CPU <see cref="AdamWKernel"/> does all of it in one
/// pass over memory, on all cores; elsewhere <see cref="AdamWRule.Apply"/> does it by tensor operations, without waiting for
/// the device.
/// </summary>
/// <param name="groups">What is trained, see <see cref="ParameterGroups"/>.</param>
/// <param name="options">The constants.</param>
public sealed class AdamW(IReadOnlyList<ParameterGroup> groups, AdamWOptions options) : Optimizer(groups, "exp_avg", "exp_avg_sq")
{
    /// <summary>The entry in the list of optimisers.</summary>
    public static OptimizerKind Entry { get; } = new(
        "adamw", "Adam with decoupled weight decay.", (groups, set) => new AdamW(groups, new(set.Beta1, set.Beta2, set.Epsilon)));

    /// <inheritdoc />
    protected override void Update(IReadOnlyList<ParameterUpdate> updates, double learningRate, GradientScale scale)
    {
        var rule = new AdamWRule(options, learningRate, Steps);
        if (updates.All(update => update.IsDirect))
        {
            AdamWKernel.Apply(updates, rule, (float)scale.ToDouble());
            return;
        }

        var factor = scale.ToTensor();
        foreach (var update in updates)
        {
            rule.Apply(update, factor);
        }
    }
}

/// <summary>The numbers of one AdamW step.</summary>
internal readonly struct AdamWRule(AdamWOptions options, double learningRate, long step)
{
    public double Beta1 { get; } = options.Beta1;

    public double Beta2 { get; } = options.Beta2;

    public double Epsilon { get; } = options.Epsilon;

    public double LearningRate { get; } = learningRate;

    /// <summary>The learning rate over the first moment's bias correction.</summary>
    public double StepSize { get; } = learningRate / (1 - Math.Pow(options.Beta1, step));

    /// <summary>Square root of the second moment's bias correction.</summary>
    public double RootCorrection { get; } = Math.Sqrt(1 - Math.Pow(options.Beta2, step));

    /// <summary>Does the step by tensor operations, which any device runs without waiting.</summary>
    /// <param name="update">The parameter.</param>
    /// <param name="scale">Multiplied into the gradient, []; null for one.</param>
    public void Apply(ParameterUpdate update, Tensor? scale)
    {
        using var scope = torch.NewDisposeScope();
        var gradient = update.ScaledGradient(scale);
        if (update.WeightDecay != 0)
        {
            update.Value.mul_(1 - (LearningRate * update.WeightDecay));
        }

        update.Moments[0].mul_(Beta1).add_(gradient, 1 - Beta1);
        update.Moments[1].mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
        var denominator = update.Moments[1].sqrt().div_(RootCorrection).add_(Epsilon);
        update.Value.addcdiv_(update.Moments[0], denominator, -StepSize);
    }
}
