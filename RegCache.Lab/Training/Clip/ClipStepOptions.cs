using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training.Clip;

/// <summary>How a CLIP training computes its gradients.</summary>
public sealed record ClipStepOptions
{
    /// <summary>How micro-batches are put together.</summary>
    public AccumulationKind Accumulation { get; init; } = AccumulationKind.CachedFeatures;

    /// <summary>
    /// Whether the logit scale's gradient is counted once for every micro-batch of <see cref="AccumulationKind.CachedFeatures"/>, as
    /// OpenCLIP does; otherwise it is that of the big batch.
    /// </summary>
    public bool RepeatScaleGradient { get; init; } = true;

    /// <summary>Whether blocks are computed again in the backward pass instead of keeping their activations.</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>Probability with which a patch token is dropped; at least one stays.</summary>
    public double PatchDropout { get; init; }

    /// <summary>How the layers of both towers run; null runs them in float32.</summary>
    public ILayerTransform? Precision { get; init; }
}
