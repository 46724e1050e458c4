namespace RegCache.Lab.Registers;

/// <summary>The quantizer that RegCache is applied to (regcache.md 10.3). Parsed and named by <see cref="BaselineNames"/>.</summary>
public enum Baseline
{
    /// <summary>Round to nearest, dynamic activation ranges.</summary>
    Naive,

    /// <summary>PTQ4ViT: twin uniform quantization with a Hessian-guided search of the scales.</summary>
    Ptq4Vit,

    /// <summary>RepQ-ViT: scale reparameterization.</summary>
    RepqVit,
}
