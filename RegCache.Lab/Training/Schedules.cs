namespace RegCache.Lab.Training;

/// <summary>The learning rate as a function of the optimiser step (docs/methods/clip.md, "Schedules").</summary>
/// <param name="Base">The learning rate after the warm-up.</param>
/// <param name="WarmupSteps">Steps of the linear warm-up, which begins at <c>base / warm-up</c>.</param>
public abstract record LearningRateSchedule(double Base, long WarmupSteps)
{
    /// <summary>The learning rate of a step, counted from 0.</summary>
    public virtual double At(long step) => step < WarmupSteps ? Base * (step + 1) / WarmupSteps : AfterWarmup(step);

    /// <summary>The learning rate of a step after the warm-up.</summary>
    protected abstract double AfterWarmup(long step);
}

/// <summary>Stays at the base after the warm-up.</summary>
/// <param name="Base">The learning rate after the warm-up.</param>
/// <param name="WarmupSteps">Steps of the warm-up.</param>
public sealed record ConstantSchedule(double Base, long WarmupSteps) : LearningRateSchedule(Base, WarmupSteps)
{
    /// <inheritdoc />
    protected override double AfterWarmup(long step) => Base;
}

/// <summary>Falls along a half cosine from the base to <paramref name="End"/> at the last step.</summary>
/// <param name="Base">The learning rate after the warm-up.</param>
/// <param name="WarmupSteps">Steps of the warm-up.</param>
/// <param name="TotalSteps">Steps of the whole training; when the warm-up fills it, the base is kept after the warm-up.</param>
/// <param name="End">The learning rate that the curve reaches after the last step; 0 in CLIP.</param>
public sealed record CosineSchedule(double Base, long WarmupSteps, long TotalSteps, double End = 0)
    : LearningRateSchedule(Base, WarmupSteps)
{
    /// <inheritdoc />
    protected override double AfterWarmup(long step)
    {
        if (TotalSteps <= WarmupSteps)
        {
            return Base;
        }

        var share = (double)(step - WarmupSteps) / (TotalSteps - WarmupSteps);
        return End + (0.5 * (1 + Math.Cos(Math.PI * share)) * (Base - End));
    }
}

/// <summary>Stays at the base until the cool-down, then falls as a power of the share of the cool-down that is left.</summary>
/// <param name="Base">The learning rate after the warm-up.</param>
/// <param name="WarmupSteps">Steps of the warm-up.</param>
/// <param name="TotalSteps">Steps of the whole training.</param>
/// <param name="CooldownSteps">Steps of the cool-down, at the end.</param>
/// <param name="Power">The power.</param>
/// <param name="End">The learning rate that the cool-down reaches after the last step.</param>
public sealed record CooldownSchedule(
    double Base, long WarmupSteps, long TotalSteps, long CooldownSteps, double Power = 1, double End = 0)
    : LearningRateSchedule(Base, WarmupSteps)
{
    /// <inheritdoc />
    protected override double AfterWarmup(long step)
    {
        var first = TotalSteps - CooldownSteps;
        if (step < first)
        {
            return Base;
        }

        var left = 1 - ((double)(step - first) / CooldownSteps);
        return (Math.Pow(left, Power) * (Base - End)) + End;
    }
}

/// <summary>
/// A half cosine that is set once an epoch, as DeiT has it: <c>end + (base - end)(1 + cos(pi e / E)) / 2</c> in epoch e of E, and in the
/// warm-up a line from <paramref name="WarmupRate"/> to the base. The warm-up is part of the E epochs; from E on the rate is
/// <paramref name="End"/>. The rate of an epoch holds from its first step on.
/// </summary>
/// <param name="Base">The learning rate that the warm-up leads to.</param>
/// <param name="WarmupEpochs">Epochs of the warm-up.</param>
/// <param name="Epochs">Epochs of the whole training.</param>
/// <param name="StepsPerEpoch">Steps of an epoch.</param>
/// <param name="WarmupRate">The learning rate of epoch 0, where there is a warm-up.</param>
/// <param name="End">The learning rate that the curve falls to.</param>
public sealed record EpochCosineSchedule(double Base, int WarmupEpochs, int Epochs, long StepsPerEpoch, double WarmupRate = 1e-6, double End = 1e-5)
    : LearningRateSchedule(Base, WarmupEpochs * StepsPerEpoch)
{
    /// <inheritdoc />
    public override double At(long step) => step / StepsPerEpoch < WarmupEpochs
        ? WarmupRate + (step / StepsPerEpoch * (Base - WarmupRate) / WarmupEpochs)
        : AfterWarmup(step);

    /// <inheritdoc />
    protected override double AfterWarmup(long step) => step / StepsPerEpoch is var epoch && epoch >= Epochs
        ? End
        : End + (0.5 * (Base - End) * (1 + Math.Cos(Math.PI * epoch / Epochs)));
}
