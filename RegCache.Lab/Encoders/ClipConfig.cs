using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Memory;
using RegCache.Lab.Placement;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Towers;

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

    /// <summary>The shapes and the activation in one line, for results and logs.</summary>
    public string Describe()
    {
        var (height, width) = Vision.ImageSize;
        var vision = Vision.Stages is { } stages ? $"ResNet of {stages} blocks, width {Vision.Width}, heads {Vision.Heads}, image {height}x{width}"
            : $"{Vision.Layers} blocks, width {Vision.Width}, heads {Vision.Heads}, patch {Vision.PatchSize}, image {height}x{width}";
        var text = Text is null ? "no text tower" : $"text {Text.Layers} blocks, width {Text.Width}, heads {Text.Heads}, context {Text.ContextLength}{(Text.Pooling is { } runs ? $", {runs.Describe()}" : "")}";
        var memory = Vision.Memory is { } layers ? $", memory of {layers.Slots} slots in blocks {layers.Blocks}" : "";
        var late = Vision.LateTokens is { } tokens ? $", {tokens.Describe()}" : "";
        var pooled = Vision.Pooling is { } pooling ? $", {pooling.Describe()}" : "";
        return $"vision {vision}{memory}{late}{pooled}; {text}; "
            + $"features {EmbedDim}; {(QuickGelu ? "quick" : "exact")} GELU";
    }
}

/// <summary>
/// The shape of a vision tower, with the defaults of OpenCLIP's <c>vision_cfg</c> (JSON keys in parentheses): of a transformer, or, where
/// <see cref="Stages"/> is given, of a ResNet, which has width, head width and image size besides and nothing else.
/// </summary>
public sealed record VisionConfig
{
    /// <summary>Number of residual blocks (<c>layers</c>).</summary>
    public int Layers { get; init; } = 12;

    /// <summary>Blocks of the four stages of a <see cref="ModifiedResNet"/> (<c>layers</c> as a list); null for a transformer.</summary>
    public ValueList<int>? Stages { get; init; }

    /// <summary>Channels C of a token, or of a ResNet's stem (<c>width</c>).</summary>
    public int Width { get; init; } = 768;

    /// <summary>Channels of one attention head (<c>head_width</c>).</summary>
    public int HeadWidth { get; init; } = 64;

    /// <summary>Hidden channels of the MLP as a multiple of <see cref="Width"/> (<c>mlp_ratio</c>).</summary>
    public double MlpRatio { get; init; } = 4.0;

    /// <summary>Side of a square patch in pixels (<c>patch_size</c>).</summary>
    public int PatchSize { get; init; } = 16;

    /// <summary>Size of a patch that is no square; null for a square of <see cref="PatchSize"/>.</summary>
    public (int Height, int Width)? PatchShape { get; init; }

    /// <summary>Channels of an image.</summary>
    public int Channels { get; init; } = 3;

    /// <summary>Input size in pixels (<c>image_size</c>: one number, or [height, width]).</summary>
    public (int Height, int Width) ImageSize { get; init; } = (224, 224);

    /// <summary>Initial value of the learned per-channel gains after attention and MLP; null for none (<c>ls_init_value</c>).</summary>
    public double? LayerScaleInit { get; init; }

    /// <summary>Class and register tokens that enter between blocks; null where class tokens are there from the start.</summary>
    public LateTokens? LateTokens { get; init; }

    /// <summary>Pooling of patches between blocks (<c>pooling_cfg</c>); null for none.</summary>
    public TowerPooling? Pooling { get; init; }

    /// <summary>Pairs of attention and MLP that a block has side by side: 1, or 2 in the parallel kinds of block.</summary>
    public int Branches { get; init; } = 1;

    /// <summary>Memory layers in place of the MLPs of some blocks (<c>memory_cfg</c>); null for none.</summary>
    public MemoryConfig? Memory { get; init; }

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

    /// <summary>False when the pooled tokens are the feature as they are (<c>proj_type</c> "none").</summary>
    public bool HasProjection { get; init; } = true;

    /// <summary>The epsilon of every LayerNorm (<c>norm_kwargs.eps</c>).</summary>
    public double Epsilon { get; init; } = 1e-5;

    /// <summary>Number of attention heads; of a ResNet, in its pooling.</summary>
    public int Heads => (Stages is null ? Width : ModifiedResNet.ChannelsOf(this)) / HeadWidth;

    /// <summary>Number of tokens that together become the feature.</summary>
    internal int PooledTokens => PoolType == VisionPooling.ClassToken ? ClassTokens : 1;

    /// <summary>Hidden channels of the MLP.</summary>
    public int MlpWidth => (int)(Width * MlpRatio);

    /// <summary>Class tokens in the sequence that the embedding gives.</summary>
    internal int EmbeddedTokens => LateTokens is null ? ClassTokens : 0;

    /// <summary>Size of a patch in pixels; of a ResNet, what a place of its last map stands for.</summary>
    public (int Height, int Width) Patch =>
        Stages is null ? PatchShape ?? (PatchSize, PatchSize) : (ModifiedResNet.Stride, ModifiedResNet.Stride);

    /// <summary>Number of patches along each axis; of a ResNet, of places of its last map.</summary>
    public (int Height, int Width) Grid => (ImageSize.Height / Patch.Height, ImageSize.Width / Patch.Width);

    /// <summary>Number of patch tokens, or places of a ResNet's last map.</summary>
    public int Patches => Grid.Height * Grid.Width;

    /// <summary>Refuses images that are not [B,channels,H,W] of the tower's size.</summary>
    /// <exception cref="UserException">They are not.</exception>
    internal void RequireSize(Tensor images)
    {
        var (height, width) = ImageSize;
        if (images.Dimensions != 4 || images.shape[1] != Channels || images.shape[2] != height || images.shape[3] != width)
        {
            throw new UserException(
                $"The model takes images of shape [B, {Channels}, {height}, {width}], not [{string.Join(", ", images.shape)}]; resize them first.");
        }
    }
}

/// <summary>How the vision tower obtains its position embedding.</summary>
public enum PositionEmbeddingKind
{
    /// <summary>A trained table with one row for the class token and one for every patch.</summary>
    Learnable,

    /// <summary>A fixed two-dimensional sine and cosine table (square grids only), with a zero row for the class token.</summary>
    SinCos2D,
}

/// <summary>Which tokens of the vision tower become the image feature.</summary>
public enum VisionPooling
{
    /// <summary>The class token.</summary>
    ClassToken,

    /// <summary>The mean of the patch tokens.</summary>
    Average,

    /// <summary>No pooling: all tokens are returned.</summary>
    None,
}

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

    /// <summary>Pooling of tokens between blocks (<c>pooling_cfg</c>); null for none.</summary>
    public TextTowerPooling? Pooling { get; init; }

    /// <summary>How the tokenizer cleans text (<c>tokenizer_kwargs.clean</c>).</summary>
    public TextCleaning Cleaning { get; init; } = TextCleaning.LowerCase;

    /// <summary>The epsilon of every LayerNorm (<c>norm_kwargs.eps</c>).</summary>
    public double Epsilon { get; init; } = 1e-5;

    /// <summary>Channels of one attention head.</summary>
    public int HeadWidth => Width / Heads;

    /// <summary>Hidden channels of the MLP.</summary>
    public int MlpWidth => (int)(Width * MlpRatio);
}

/// <summary>Which position of the text tower becomes the text feature.</summary>
public enum TextPooling
{
    /// <summary>The first position.</summary>
    First,

    /// <summary>The last position.</summary>
    Last,

    /// <summary>The first position that holds the row's largest token id, which is the end-of-text token.</summary>
    ArgMax,

    /// <summary>No pooling: all positions are returned.</summary>
    None,
}
