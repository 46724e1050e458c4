namespace RegCache.Lab.Encoders;

/// <summary>
/// The shape of a vision transformer tower, with the defaults of OpenCLIP's <c>vision_cfg</c>
/// (JSON keys in parentheses).
/// </summary>
public sealed record VisionConfig
{
    /// <summary>Number of residual blocks (<c>layers</c>).</summary>
    public int Layers { get; init; } = 12;

    /// <summary>Channels C of a token (<c>width</c>).</summary>
    public int Width { get; init; } = 768;

    /// <summary>Channels of one attention head (<c>head_width</c>).</summary>
    public int HeadWidth { get; init; } = 64;

    /// <summary>Hidden channels of the MLP as a multiple of <see cref="Width"/> (<c>mlp_ratio</c>).</summary>
    public double MlpRatio { get; init; } = 4.0;

    /// <summary>Side of a square patch in pixels (<c>patch_size</c>).</summary>
    public int PatchSize { get; init; } = 16;

    /// <summary>Input size in pixels (<c>image_size</c>: one number, or [height, width]).</summary>
    public (int Height, int Width) ImageSize { get; init; } = (224, 224);

    /// <summary>Initial value of the learned per-channel gains after attention and MLP; null for none (<c>ls_init_value</c>).</summary>
    public double? LayerScaleInit { get; init; }

    /// <summary>Probability with which training drops a patch token (<c>patch_dropout</c>).</summary>
    public double PatchDropout { get; init; }

    /// <summary>True when there is no LayerNorm before the first block (<c>no_ln_pre</c>).</summary>
    public bool NoLnPre { get; init; }

    /// <summary>The kind of position embedding (<c>pos_embed_type</c>: "learnable" or "sin_cos_2d").</summary>
    public PositionEmbeddingKind PositionEmbedding { get; init; } = PositionEmbeddingKind.Learnable;

    /// <summary>True to pool first and normalise only the pooled vector (<c>final_ln_after_pool</c>).</summary>
    public bool FinalLnAfterPool { get; init; }

    /// <summary>The kind of pooling (<c>pool_type</c>: "tok", "avg" or "none").</summary>
    public VisionPooling PoolType { get; init; } = VisionPooling.ClassToken;

    /// <summary>
    /// Learned tokens in front of the patches: 1 is the class token, 2 a class and a distillation token, 0 neither. All of
    /// them together become the feature when <see cref="PoolType"/> is <see cref="VisionPooling.ClassToken"/>.
    /// </summary>
    public int ClassTokens { get; init; } = 1;

    /// <summary>True when callers want the patch tokens besides the pooled feature (<c>output_tokens</c>).</summary>
    public bool OutputTokens { get; init; }

    /// <summary>The epsilon of every LayerNorm (<c>norm_kwargs.eps</c>).</summary>
    public double Epsilon { get; init; } = 1e-5;

    /// <summary>Number of attention heads.</summary>
    public int Heads => Width / HeadWidth;

    /// <summary>Hidden channels of the MLP.</summary>
    public int MlpWidth => (int)(Width * MlpRatio);

    /// <summary>Number of patches along each axis.</summary>
    public (int Height, int Width) Grid => (ImageSize.Height / PatchSize, ImageSize.Width / PatchSize);

    /// <summary>Number of patch tokens.</summary>
    public int Patches => Grid.Height * Grid.Width;
}
