namespace RegCache.Lab.Training.Optimization;

/// <summary>Stays at the base after the warm-up.</summary>
/// <param name="Base">The learning rate after the warm-up.</param>
/// <param name="WarmupSteps">Steps of the warm-up.</param>
public sealed record ConstantSchedule(double Base, long WarmupSteps) : LearningRateSchedule(Base, WarmupSteps)
{
    /// <inheritdoc />
    protected override double AfterWarmup(long step) => Base;
}
