namespace RegCache.Lab.Training.Clip;

/// <summary>How the micro-batches of one optimiser step are put together.</summary>
public enum AccumulationKind
{
    /// <summary>
    /// Features of all micro-batches are computed first, without gradients; the loss sees them all, so every pair is a negative of
    /// every other one and the gradient is that of the big batch (clip.md, section 13.4).
    /// </summary>
    CachedFeatures,

    /// <summary>Each micro-batch has its own loss and negatives; gradients are averaged.</summary>
    Gradients,
}
