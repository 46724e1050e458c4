using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Encoders;

/// <summary>
/// The shape of a text transformer tower, with the defaults of OpenCLIP's <c>text_cfg</c> (JSON keys in parentheses).
/// </summary>
public sealed record TextConfig
{
    /// <summary>Number of positions; every input has exactly this many ids (<c>context_length</c>).</summary>
    public int ContextLength { get; init; } = 77;

    /// <summary>Number of token ids (<c>vocab_size</c>).</summary>
    public int VocabSize { get; init; } = 49408;

    /// <summary>Channels C of a token (<c>width</c>).</summary>
    public int Width { get; init; } = 512;

    /// <summary>Number of attention heads (<c>heads</c>).</summary>
    public int Heads { get; init; } = 8;

    /// <summary>Number of residual blocks (<c>layers</c>).</summary>
    public int Layers { get; init; } = 12;

    /// <summary>Hidden channels of the MLP as a multiple of <see cref="Width"/> (<c>mlp_ratio</c>).</summary>
    public double MlpRatio { get; init; } = 4.0;

    /// <summary>Initial value of the learned per-channel gains after attention and MLP; null for none (<c>ls_init_value</c>).</summary>
    public double? LayerScaleInit { get; init; }

    /// <summary>The id that fills unused positions (<c>pad_id</c>).</summary>
    public int PadId { get; init; }

    /// <summary>True when every position sees all positions (<c>no_causal_mask</c>).</summary>
    public bool NoCausalMask { get; init; }

    /// <summary>True to pool first and normalise only the pooled vector (<c>final_ln_after_pool</c>).</summary>
    public bool FinalLnAfterPool { get; init; }

    /// <summary>The kind of pooling (<c>pool_type</c>: "first", "last", "argmax" or "none").</summary>
    public TextPooling PoolType { get; init; } = TextPooling.ArgMax;

    /// <summary>True when the projection is a linear layer with bias instead of a bare [C, E] matrix (<c>proj_bias</c>).</summary>
    public bool ProjBias { get; init; }

    /// <summary>False when the pooled vector is the feature as it is (<c>proj_type</c> "none").</summary>
    public bool HasProjection { get; init; } = true;

    /// <summary>True when callers want all tokens besides the pooled feature (<c>output_tokens</c>).</summary>
    public bool OutputTokens { get; init; }

    /// <summary>How the tokenizer cleans text (<c>tokenizer_kwargs.clean</c>).</summary>
    public TextCleaning Cleaning { get; init; } = TextCleaning.LowerCase;

    /// <summary>The epsilon of every LayerNorm (<c>norm_kwargs.eps</c>).</summary>
    public double Epsilon { get; init; } = 1e-5;

    /// <summary>Channels of one attention head.</summary>
    public int HeadWidth => Width / Heads;

    /// <summary>Hidden channels of the MLP.</summary>
    public int MlpWidth => (int)(Width * MlpRatio);
}
