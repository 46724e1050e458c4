namespace RegCache.Lab.Training.Optimization;

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
