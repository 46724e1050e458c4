namespace RegCache.Lab.Training.Optimization;

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
