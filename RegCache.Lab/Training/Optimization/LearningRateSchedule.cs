namespace RegCache.Lab.Training.Optimization;

/// <summary>The learning rate as a function of the optimiser step (clip.md, section 13.3).</summary>
/// <param name="Base">The learning rate after the warm-up.</param>
/// <param name="WarmupSteps">Steps of the linear warm-up, which begins at <c>base / warm-up</c>.</param>
public abstract record LearningRateSchedule(double Base, long WarmupSteps)
{
    /// <summary>The learning rate of a step, counted from 0.</summary>
    public double At(long step) => step < WarmupSteps ? Base * (step + 1) / WarmupSteps : AfterWarmup(step);

    /// <summary>The learning rate of a step after the warm-up.</summary>
    protected abstract double AfterWarmup(long step);
}
