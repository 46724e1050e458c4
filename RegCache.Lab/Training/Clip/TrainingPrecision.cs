namespace RegCache.Lab.Training.Clip;

/// <summary>The number format of a training.</summary>
public enum TrainingPrecision
{
    /// <summary>float32 throughout.</summary>
    Fp32,

    /// <summary>Matrix products in bfloat16, everything else in float32; see <see cref="Bf16Precision"/>.</summary>
    AmpBf16,
}
