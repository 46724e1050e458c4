namespace RegCache.Lab.Training;

/// <summary>The learning rate as a function of the optimiser step (docs/methods/clip.md, "Schedules").</summary>
/// <param name="Base">The learning rate after the warm-up.</param>
/// <param name="WarmupSteps">Steps of the linear warm-up, which begins at <c>base / warm-up</c>.</param>
public abstract record LearningRateSchedule(double Base, long WarmupSteps)
{
    /// <summary>The learning rate of a step, counted from 0.</summary>
    public double At(long step) => step < WarmupSteps ? Base * (step + 1) / WarmupSteps : AfterWarmup(step);

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
