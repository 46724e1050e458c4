namespace RegCache.Lab.Evaluation;

/// <summary>The parts of an encoder that multiply.</summary>
public enum MacsKind
{
    /// <summary>The patch embedding, V D for each patch of V values.</summary>
    PatchEmbedding,

    /// <summary>Queries, keys, values and output of attention, 4 N D^2.</summary>
    AttentionLinears,

    /// <summary>The two products of attention, 2 N (N + prefix) D.</summary>
    AttentionProducts,

    /// <summary>The MLP, 2 rho M D^2.</summary>
    Mlp,

    /// <summary>The projection or classification head.</summary>
    Head,

    /// <summary>What token stages cost to decide, which the model's total leaves out.</summary>
    Matching,
}
