namespace RegCache.Lab.Training.Loop;

/// <summary>How often a training logs, measures and saves.</summary>
public sealed record TrainingLoopOptions
{
    /// <summary>Steps between two log lines; the last step is always logged.</summary>
    public int LogEvery { get; init; } = 10;

    /// <summary>Steps between two evaluations; 0 evaluates at the end only.</summary>
    public int EvaluateEvery { get; init; }

    /// <summary>Steps between two checkpoints; 0 keeps the one of the end only.</summary>
    public int SaveEvery { get; init; } = 100;

    /// <summary>How many checkpoints are kept, the newest ones.</summary>
    public int KeepCheckpoints { get; init; } = 2;
}
