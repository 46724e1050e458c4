namespace RegCache.Lab.Encoders;

/// <summary>
/// Everything that one pre-norm block computes with. A plan's <see cref="ILayerTransform"/> turns the plain layers of a
/// block into the ones that run.
/// </summary>
/// <param name="Heads">Number of attention heads H.</param>
/// <param name="AttentionNorm">`ln_1`.</param>
/// <param name="AttentionIn">`attn.in_proj`: queries, keys and values in one layer [3C,C].</param>
/// <param name="Attention">The attention products.</param>
/// <param name="AttentionOut">`attn.out_proj` [C,C].</param>
/// <param name="MlpNorm">`ln_2`.</param>
/// <param name="Mlp">The MLP slot.</param>
public sealed record BlockLayers(
    int Heads,
    LayerNorm AttentionNorm,
    ILinear AttentionIn,
    IAttention Attention,
    ILinear AttentionOut,
    LayerNorm MlpNorm,
    IMlp Mlp)
{
    /// <summary>Gain of the attention branch (`ls_1.gamma`) [C]; null without layer scale.</summary>
    public Tensor? LayerScale1 { get; init; }

    /// <summary>Gain of the MLP branch (`ls_2.gamma`) [C]; null without layer scale.</summary>
    public Tensor? LayerScale2 { get; init; }

    /// <summary>One of the four linear layers; null for those of the MLP where a memory layer is in its place.</summary>
    public ILinear? Linear(LinearKind kind) => kind switch
    {
        LinearKind.AttentionIn => AttentionIn,
        LinearKind.AttentionOut => AttentionOut,
        LinearKind.MlpIn => (Mlp as FeedForward)?.In,
        _ => (Mlp as FeedForward)?.Out,
    };

    /// <summary>Replaces one of the four linear layers; a memory layer in the MLP slot has none to replace.</summary>
    public BlockLayers With(LinearKind kind, Func<ILinear, ILinear> replace) => (kind, Mlp) switch
    {
        (LinearKind.AttentionIn, _) => this with { AttentionIn = replace(AttentionIn) },
        (LinearKind.AttentionOut, _) => this with { AttentionOut = replace(AttentionOut) },
        (LinearKind.MlpIn, FeedForward mlp) => this with { Mlp = mlp with { In = replace(mlp.In) } },
        (LinearKind.MlpOut, FeedForward mlp) => this with { Mlp = mlp with { Out = replace(mlp.Out) } },
        _ => this,
    };
}
