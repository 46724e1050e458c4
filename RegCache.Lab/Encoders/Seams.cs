using System.Diagnostics;

namespace RegCache.Lab.Encoders;

// The encoder is one pre-norm transformer, for images and for text. This page holds its seams: the only places where a method
// may act on the stream of tokens. A block, with the seams by number:
//
//     tokens x [B,N,C] --1-- x + attention(norm(x)) --2-- x + mlp(norm(x)) -- seam 1 of the next block
//
//     1  between blocks              ITokenStage           inserts, deletes or pools tokens; the architecture's own ones come first
//     2  between attention and MLP   ITokenStage           merges tokens
//     3  keys and values             AttentionExtras       cached registers that join the attention, sizes of merged tokens
//     4  matrix products             ILinear, IAttention   float, quantized or integer
//     5  the MLP slot                IMlp                  an MLP, or a memory in its place
//     6  activations                 IActivationProbe      looks at them, changes nothing
//
// BlockLayers is what a block computes with; an ILayerTransform, for example a quantizer, puts other layers into seams 4 and 5.
// A plan (Plan.cs) says what is plugged into which block, TransformerBlock.cs runs a block, and PlanRunner.cs runs many plans at
// once. TokenBatch.cs is the stream.

/// <summary>
/// Seams 1 and 2: acts on the token stream between two blocks, or inside a block between attention and MLP. It inserts,
/// deletes, merges or pools tokens. Stages are records: two stages that do the same compare equal, so that plans that
/// agree share the computation.
/// </summary>
public interface ITokenStage
{
    /// <summary>Returns the token stream that goes on.</summary>
    /// <param name="batch">The stream that arrives, tokens [B,N,C].</param>
    /// <param name="context">What the block computed so far; its attention is absent between blocks.</param>
    TokenBatch Apply(TokenBatch batch, StageContext context);

    /// <summary>Multiply-accumulates that deciding costs per image; accounts list them apart from the model's own.</summary>
    /// <param name="batch">The stream that arrives; only shapes and layout count.</param>
    /// <param name="context">What the block computed so far; only shapes count.</param>
    long Macs(TokenBatch batch, StageContext context) => 0;

    /// <summary>
    /// The stage that accounts run on random tokens: one that leaves as many tokens as this one is meant to, where that depends on what they hold.
    /// </summary>
    ITokenStage Expected => this;
}

/// <summary>What a token stage may look at besides the stream itself.</summary>
/// <param name="Block">The block that the stage belongs to, 0-based.</param>
public sealed record StageContext(int Block)
{
    /// <summary>
    /// Attention keys of the block before scaling [B,H,N,D/H], without prefix columns; null at the seam between blocks.
    /// </summary>
    public Tensor? Keys { get; init; }

    /// <summary>Attention queries of the block [B,H,N,D/H]; null at the seam between blocks.</summary>
    public Tensor? Queries { get; init; }

    /// <summary>What joined the block's attention: prefix and bias.</summary>
    public AttentionExtras Extras { get; init; }
}

/// <summary>Seam 3: what joins the keys and values of a block in its attention.</summary>
public readonly record struct AttentionExtras
{
    /// <summary>Keys that come before the block's own [H,P,d]; null without a prefix.</summary>
    public Tensor? PrefixKeys { get; init; }

    /// <summary>Values that come before the block's own [H,P,d]; null without a prefix.</summary>
    public Tensor? PrefixValues { get; init; }

    /// <summary>Added to the logits of the block's own columns, broadcast to [B,H,M,N]; null adds nothing.</summary>
    public Tensor? Bias { get; init; }

    /// <summary>Applied to the attention probabilities in training; null leaves them as they are.</summary>
    public Func<Tensor, Tensor>? Dropout { get; init; }
}

/// <summary>
/// Seams 3 and 4: the attention products <c>softmax(Q K'^T / sqrt(d) + bias) V'</c>, where K' and V' have the extra keys and
/// values in front. Implementations may quantize the operands; the extra ones stay float.
/// </summary>
public interface IAttention
{
    /// <summary>Computes the weighted values of all heads [B,H,M,d].</summary>
    /// <param name="query">Queries [B,H,M,d].</param>
    /// <param name="key">Keys [B,H,N,d].</param>
    /// <param name="value">Values [B,H,N,d].</param>
    /// <param name="extras">Prefix, bias and mask.</param>
    /// <param name="probe">Told of the attention probabilities.</param>
    Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe);
}

/// <summary>Seam 4: one linear layer, run in float, simulated-quantized or in integers.</summary>
public interface ILinear
{
    /// <summary>The weight matrix [out,in] that the layer applies, as a float tensor.</summary>
    Tensor Weight { get; }

    /// <summary>The bias [out]; null when the layer has none.</summary>
    Tensor? Bias { get; }

    /// <summary>Whether each output row depends on its own input row alone, so that unused rows may be left out.</summary>
    bool IsRowwise { get; }

    /// <summary>Computes <c>x W^T + b</c>, [..,in] to [..,out].</summary>
    Tensor Apply(Tensor input);
}

/// <summary>The four linear layers of a block, in the order in which a token meets them.</summary>
public enum LinearKind
{
    /// <summary>`attn.in_proj`.</summary>
    AttentionIn,

    /// <summary>`attn.out_proj`.</summary>
    AttentionOut,

    /// <summary>`mlp.c_fc`, "FC1"; in a memory layer all that is projected from the token, as one layer.</summary>
    MlpIn,

    /// <summary>`mlp.c_proj`, "FC2"; in a memory layer `mlp.value_proj`.</summary>
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
        LinearKind.MlpOut => "mlp.c_proj",
        _ => throw new UnreachableException(),
    };

    /// <summary>The full OpenCLIP name, for example `visual.transformer.resblocks.6.mlp.c_proj`.</summary>
    public static string FullName(this LinearKind kind, int block) =>
        $"visual.transformer.resblocks.{block}.{kind.Name()}";
}

/// <summary>
/// Seam 5: what a token passes through after attention, an MLP or a memory layer. One linear layer takes the token, one gives the result;
/// quantizers see these two.
/// </summary>
public interface IMlp
{
    /// <summary>The linear layer that takes the token.</summary>
    ILinear In { get; }

    /// <summary>The linear layer that gives the result; null where there is none.</summary>
    ILinear? Out { get; }

    /// <summary>Whether each output row depends on its own input row alone.</summary>
    bool IsRowwise { get; }

    /// <summary>The same with other linear layers.</summary>
    IMlp With(ILinear into, ILinear? outOf);

    /// <summary>The same for tokens that arrive transformed because <see cref="In"/> wants them so; what else looks at them undoes that first.</summary>
    IMlp Behind(Func<Tensor, Tensor> undo) => this;

    /// <summary>Maps each token, [B,N,C] to [B,N,C].</summary>
    /// <param name="input">Normalised tokens [B,N,C].</param>
    /// <param name="probe">Told of the activations inside.</param>
    Tensor Apply(Tensor input, BlockProbe probe);
}

/// <summary>Seam 6: a read-only observer of named activations.</summary>
public interface IActivationProbe
{
    /// <summary>Whether the probe wants this activation; those that nobody wants are not materialised for it.</summary>
    bool Wants(int block, ActivationKind kind);

    /// <summary>Names the plans of a tree that share what is shown next; called before each block that a tree runs.</summary>
    /// <param name="plans">Their indices in the tree.</param>
    void Enter(IReadOnlyList<int> plans)
    {
    }

    /// <summary>Shows one activation. It is released after the call: keep a clone, not the tensor.</summary>
    void Observe(int block, ActivationKind kind, Tensor value);
}

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

    /// <summary>Output of `mlp.c_fc` [B,N,R*C]; in a memory layer queries and gates.</summary>
    MlpIn,

    /// <summary>Slots that a memory layer reads, best first [B,N,H,k], int64.</summary>
    MemorySlots,

    /// <summary>The weights with which it reads them [B,N,H,k].</summary>
    MemoryWeights,

    /// <summary>Output of the activation, the input of `mlp.c_proj` [B,N,R*C]; in a memory layer what was read, gated [B,N,V].</summary>
    MlpHidden,

    /// <summary>Output of the MLP [B,N,C].</summary>
    MlpOut,

    /// <summary>Residual stream that leaves the block [B,N,C].</summary>
    BlockOutput,
}

/// <summary>The probe of a run, bound to one block; does nothing when the run has no probe.</summary>
/// <param name="Probe">The observer, or null.</param>
/// <param name="Block">The block that is running, 0-based.</param>
public readonly record struct BlockProbe(IActivationProbe? Probe, int Block)
{
    /// <summary>Whether the observer wants this activation of the block.</summary>
    public bool Wants(ActivationKind kind) => Probe?.Wants(Block, kind) ?? false;

    /// <summary>Whether the observer wants any activation of the block from the first to the last kind.</summary>
    public bool WantsAny(ActivationKind first, ActivationKind last)
    {
        for (var kind = first; kind <= last; kind++)
        {
            if (Wants(kind))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Shows the activation to the observer if it wants it.</summary>
    public void Observe(ActivationKind kind, Tensor value)
    {
        if (Wants(kind))
        {
            Probe!.Observe(Block, kind, value);
        }
    }
}

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
    /// <summary>Seam 1: stages that belong to the architecture, such as the entry of a token; those of a plan come after them.</summary>
    public ValueList<ITokenStage> Before { get; init; } = [];

    /// <summary>Applied to the attention probabilities in training; null leaves them as they are.</summary>
    public Func<Tensor, Tensor>? AttentionDropout { get; init; }

    /// <summary>Gain of the attention branch (`ls_1.gamma`) [C]; null without layer scale.</summary>
    public Tensor? LayerScale1 { get; init; }

    /// <summary>Gain of the MLP branch (`ls_2.gamma`) [C]; null without layer scale.</summary>
    public Tensor? LayerScale2 { get; init; }

    /// <summary>One of the four linear layers; null where the MLP slot has no such layer.</summary>
    public ILinear? Linear(LinearKind kind) => kind switch
    {
        LinearKind.AttentionIn => AttentionIn,
        LinearKind.AttentionOut => AttentionOut,
        LinearKind.MlpIn => Mlp.In,
        LinearKind.MlpOut => Mlp.Out,
        _ => throw new UnreachableException(),
    };

    /// <summary>Replaces one of the four linear layers; what the MLP slot does not have stays absent.</summary>
    public BlockLayers With(LinearKind kind, Func<ILinear, ILinear> replace) => kind switch
    {
        LinearKind.AttentionIn => this with { AttentionIn = replace(AttentionIn) },
        LinearKind.AttentionOut => this with { AttentionOut = replace(AttentionOut) },
        LinearKind.MlpIn => this with { Mlp = Mlp.With(replace(Mlp.In), Mlp.Out) },
        LinearKind.MlpOut => Mlp.Out is { } last ? this with { Mlp = Mlp.With(Mlp.In, replace(last)) } : this,
        _ => throw new UnreachableException(),
    };
}

/// <summary>
/// How a plan wants layers to run: a function from plain layers to layers, for example a quantizer. Transforms are
/// records or compare by identity, so that plans with equal transforms share the computation.
/// </summary>
public interface ILayerTransform
{
    /// <summary>Returns the layers that run in place of the plain ones of a block.</summary>
    BlockLayers Apply(int block, BlockLayers plain);

    /// <summary>Returns the patch embedding that runs in place of the plain one.</summary>
    PatchEmbedding Apply(PatchEmbedding plain) => plain;
}
