namespace RegCache.Lab.Encoders;

/// <summary>The named activations of a block that a probe may observe.</summary>
public enum ActivationKind
{
    /// <summary>Residual stream that enters the block, after its token stages [B,N,C].</summary>
    BlockInput,

    /// <summary>Output of the first LayerNorm, the input of `attn.in_proj` [B,N,C].</summary>
    AttentionNorm,

    /// <summary>Attention probabilities with the prefix columns first [B,H,N,P+N].</summary>
    AttentionProbabilities,

    /// <summary>Weighted values of all heads, the input of `attn.out_proj` [B,N,C].</summary>
    AttentionContext,

    /// <summary>Output of `attn.out_proj` [B,N,C].</summary>
    AttentionOut,

    /// <summary>Output of the second LayerNorm, the input of `mlp.c_fc` [B,N,C].</summary>
    MlpNorm,

    /// <summary>Output of `mlp.c_fc` [B,N,R*C].</summary>
    MlpIn,

    /// <summary>Output of the activation, the input of `mlp.c_proj` [B,N,R*C].</summary>
    MlpHidden,

    /// <summary>Output of the MLP [B,N,C].</summary>
    MlpOut,

    /// <summary>Residual stream that leaves the block [B,N,C].</summary>
    BlockOutput,
}
