namespace RegCache.Lab.Encoders;

/// <summary>The four linear layers of a block, in the order in which a token meets them.</summary>
public enum LinearKind
{
    /// <summary>`attn.in_proj`.</summary>
    AttentionIn,

    /// <summary>`attn.out_proj`.</summary>
    AttentionOut,

    /// <summary>`mlp.c_fc`, "FC1".</summary>
    MlpIn,

    /// <summary>`mlp.c_proj`, "FC2".</summary>
    MlpOut,
}

/// <summary>Names of <see cref="LinearKind"/> values.</summary>
public static class LinearKinds
{
    /// <summary>All four, in order.</summary>
    public static ValueList<LinearKind> All { get; } =
        [LinearKind.AttentionIn, LinearKind.AttentionOut, LinearKind.MlpIn, LinearKind.MlpOut];

    /// <summary>The name inside a block, for example `mlp.c_proj`.</summary>
    public static string Name(this LinearKind kind) => kind switch
    {
        LinearKind.AttentionIn => "attn.in_proj",
        LinearKind.AttentionOut => "attn.out_proj",
        LinearKind.MlpIn => "mlp.c_fc",
        _ => "mlp.c_proj",
    };

    /// <summary>The full OpenCLIP name, for example `visual.transformer.resblocks.6.mlp.c_proj`.</summary>
    public static string FullName(this LinearKind kind, int block) =>
        $"visual.transformer.resblocks.{block}.{kind.Name()}";
}
