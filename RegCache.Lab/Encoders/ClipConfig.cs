namespace RegCache.Lab.Encoders;

/// <summary>
/// The architecture of a CLIP model: OpenCLIP's model configuration (JSON keys in parentheses). Configurations
/// compare by value.
/// </summary>
public sealed record ClipConfig
{
    /// <summary>ln(1/0.07), the value at which CLIP starts the logarithm of its logit scale.</summary>
    public const double DefaultInitLogitScale = 2.6592600369327779;

    /// <summary>Channels E of the joint image and text embedding (<c>embed_dim</c>).</summary>
    public required int EmbedDim { get; init; }

    /// <summary>The vision tower (<c>vision_cfg</c>).</summary>
    public required VisionConfig Vision { get; init; }

    /// <summary>The text tower (<c>text_cfg</c>); null for a checkpoint that holds the vision tower alone.</summary>
    public TextConfig? Text { get; init; }

    /// <summary>True for x * sigmoid(1.702 x), false for the exact GELU, in both towers (<c>quick_gelu</c>).</summary>
    public bool QuickGelu { get; init; }

    /// <summary>True when the weight file keeps the text tower's tensors under the prefix <c>text.</c> (<c>custom_text</c>).</summary>
    public bool CustomText { get; init; }

    /// <summary>Initial value of the logarithm of the logit scale (<c>init_logit_scale</c>).</summary>
    public double InitLogitScale { get; init; } = DefaultInitLogitScale;

    /// <summary>Initial value of the logit bias; null for a model without one (<c>init_logit_bias</c>).</summary>
    public double? InitLogitBias { get; init; }

    /// <summary>True when the logit scale (and bias) have shape [1] instead of [] (<c>nonscalar_logit_scale</c>).</summary>
    public bool NonscalarLogitScale { get; init; }
}
