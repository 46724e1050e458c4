namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>The loss whose gradient weights output errors (quantizers.md, section 2.2).</summary>
public enum HessianLoss
{
    /// <summary>Cross-entropy of the logits against the float model's own predictions.</summary>
    PseudoLabel,

    /// <summary>
    /// Divergence of the float model's probabilities from themselves, as in the released code. Its exact gradient is zero;
    /// what remains is rounding noise, which differs between devices and batch sizes.
    /// </summary>
    Kl,
}
