using System.Diagnostics;
using RegCache.Lab.Memory;
using RegCache.Lab.Pooling.Towers;

namespace RegCache.Lab.Encoders;

/// <summary>
/// The vision transformer of CLIP (Radford et al. 2021, arXiv:2103.00020, section 2.4): patch embedding, class token and
/// positions, pre-norm blocks, pooling and projection. ViT classifiers are configurations of it.
/// </summary>
public sealed class VisionTower : IImageTower
{
    private readonly VisionParts _parts;
    private readonly Lazy<IReadOnlyList<TokenLayout>> _layouts;
    private PatchEmbedding? _preparedPatches;

    /// <summary>Builds the tower on the tensors named `visual.*`.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The named tensors.</param>
    /// <param name="backend">How the blocks run where no gradients are wanted; null runs the tensor operators.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape or is not finite.</exception>
    public VisionTower(ClipConfig config, WeightTable weights, IBackend? backend = null)
        : this(config, VisionParts.OfClip(config, weights), backend)
    {
    }

    /// <summary>Builds the tower of its parts, whatever their tensors are called.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="parts">What it computes with.</param>
    /// <param name="backend">How the blocks run where no gradients are wanted; null runs the tensor operators.</param>
    public VisionTower(ClipConfig config, VisionParts parts, IBackend? backend = null)
    {
        (Config, Features, Backend, _parts) = (config.Vision, config.EmbedDim, backend, parts);
        Running = new(Blocks, backend);
        _layouts = new(FindLayouts);
    }

    /// <inheritdoc />
    public VisionConfig Config { get; }

    /// <summary>The plain float layers of every block.</summary>
    public IReadOnlyList<BlockLayers> Blocks => _parts.Blocks;

    /// <summary>How the blocks run where no gradients are wanted; null runs the tensor operators.</summary>
    public IBackend? Backend { get; }

    /// <summary>The float blocks as they run.</summary>
    internal PreparedBlocks Running { get; }

    /// <summary>`conv1`, the plain patch embedding.</summary>
    public PatchEmbedding Patches => _parts.Patches;

    /// <summary>`ln_post`.</summary>
    public LayerNorm FinalNorm => _parts.FinalNorm;

    /// <inheritdoc />
    public (torch.Device Device, torch.ScalarType Type) Placement => (Patches.Weight.device, Patches.Weight.dtype);

    /// <inheritdoc />
    public int Features { get; }

    /// <summary>
    /// What the positions of the float encoder's stream hold while a block runs: tokens that enter between blocks are there from their
    /// own block on.
    /// </summary>
    /// <param name="block">The block, 0-based.</param>
    public TokenLayout LayoutIn(int block) => _layouts.Value[block];

    /// <inheritdoc />
    public int PlannedBlocks => Blocks.Count;

    /// <summary>Turns images [B,3,H,W] into the stream that enters block 0, [B,k+N,C] with k class tokens.</summary>
    /// <param name="images">Normalised images.</param>
    /// <param name="transform">How the patch embedding runs; null runs it in float.</param>
    /// <exception cref="UserException">The images are not of the size that the model takes.</exception>
    public TokenBatch Embed(Tensor images, ILayerTransform? transform = null)
    {
        Config.RequireSize(images);
        return TensorScope.Run(() =>
        {
            var patches = transform?.Apply(Patches) ?? Patches;
            return Arrange((ReferenceEquals(patches, Patches) ? RunningPatches : patches).Apply(images));
        });
    }

    /// <summary>Turns embedded patches [B,C,h,w] into the stream that enters block 0: class token, positions, `ln_pre`.</summary>
    internal TokenBatch Arrange(Tensor embedded) => TensorScope.Run(() =>
    {
        var patches = embedded.flatten(2).transpose(1, 2);
        var classTokens = _parts.ClassTokens.Select(rows => rows.to(patches.dtype).view(1, -1, Config.Width).expand(patches.shape[0], -1, -1));
        var sequence = _parts.ClassTokens.Count == 0 ? patches : torch.cat([.. classTokens, patches], 1);
        var tokens = sequence + _parts.Positions.to(patches.dtype);
        tokens = _parts.PreNorm?.Apply(tokens) ?? tokens;
        return new TokenBatch(tokens, new(Config.EmbeddedTokens, 0, Config.Grid.Height, Config.Grid.Width));
    });

    /// <summary>Pools and projects the stream that leaves the last block to image features [B,E], not normalised.</summary>
    public Tensor Project(TokenBatch output) => TensorScope.Run(() => _parts.Project?.Invoke(Pool(output)) ?? Pool(output));

    /// <summary>Encodes images [B,3,H,W] as trained, to features [B,E] that are not normalised.</summary>
    /// <param name="images">Normalised images.</param>
    /// <param name="probe">Observer of the activations, or null.</param>
    public Tensor Encode(Tensor images, IActivationProbe? probe = null) =>
        TensorScope.Run(() => Project(Run(images, Blocks.Count, probe, WantedTokens(probe))));

    Tensor IImageTower.Encode(Tensor images) => Encode(images);

    void IDisposable.Dispose() => Running.Dispose();

    /// <summary>Runs the first blocks as trained and returns the stream that leaves them [B,1+N,C].</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="blocks">How many blocks to run.</param>
    /// <param name="probe">Observer of the activations, or null.</param>
    public TokenBatch Forward(Tensor images, int blocks, IActivationProbe? probe = null) => Run(images, blocks, probe, null);

    /// <summary>Leading tokens of the last block's output that <see cref="Project"/> and the probe look at; null for all.</summary>
    internal int? WantedTokens(IActivationProbe? probe) =>
        Config.PoolType == VisionPooling.ClassToken && probe is null ? Config.ClassTokens : null;

    private TokenBatch Run(Tensor images, int blocks, IActivationProbe? probe, int? keepTokens) => TensorScope.Run(() =>
    {
        var stream = Embed(images);
        for (var block = 0; block < blocks; block++)
        {
            var next = TransformerBlock.Forward(stream, block, Running[block], BlockPlan.Plain, probe: probe, keepTokens: block == blocks - 1 ? keepTokens : null);
            stream.Tokens.Dispose();
            stream = next;
        }

        return stream;
    });

    private PatchEmbedding RunningPatches => Backend is null || torch.is_grad_enabled()
        ? Patches
        : _preparedPatches ??= Running.Keep(() => Backend.Prepare(Patches));

    // Only the token stages run, on tokens that say nothing.
    private List<TokenLayout> FindLayouts()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var (device, type) = Placement;
        var tokens = torch.zeros(1, Config.Patches + Config.EmbeddedTokens, Config.Width, dtype: type, device: device);
        var stream = new TokenBatch(tokens, new(Config.EmbeddedTokens, 0, Config.Grid.Height, Config.Grid.Width));
        var layouts = new List<TokenLayout>();
        foreach (var (block, layers) in Blocks.Index())
        {
            stream = layers.Before.Aggregate(stream, (batch, stage) => stage.Apply(batch, new(block)));
            layouts.Add(stream.Layout);
        }

        return layouts;
    }

    /// <summary>The tokens that become the feature, normalised: [B,C], or several side by side.</summary>
    internal Tensor Pool(TokenBatch output) => Config.PoolType switch
    {
        VisionPooling.ClassToken => FinalNorm.Apply(output.Tokens.narrow(1, 0, Config.ClassTokens)).flatten(1),
        VisionPooling.None => FinalNorm.Apply(output.Tokens),
        VisionPooling.Average when Config.Pooling is { Entry.IsClip: false } pooling => AverageRows(output, FinalNorm.Apply(output.Tokens), pooling.MeanOverPadding),
        VisionPooling.Average when Config.FinalLnAfterPool => FinalNorm.Apply(Average(output, output.Tokens)),
        VisionPooling.Average => Average(output, FinalNorm.Apply(output.Tokens)),
        _ => throw new UnreachableException(),
    };

    // DRIP's towers take every token for one, class tokens included.
    private static Tensor AverageRows(TokenBatch output, Tensor tokens, bool withPadding)
    {
        if (withPadding || output.Padding is not { } padding)
        {
            return tokens.mean([1]);
        }

        var weights = padding.logical_not().unsqueeze(2).to(tokens.dtype);
        return (tokens * weights).sum(1) / weights.sum(1);
    }

    private static Tensor Average(TokenBatch output, Tensor tokens)
    {
        var first = output.Layout.ProtectedTokens;
        var patches = tokens.narrow(1, first, tokens.shape[1] - first);
        if (output.Sizes is not { } sizes)
        {
            return patches.mean([1]);
        }

        // Merged tokens count for all their patches.
        var weights = sizes.narrow(1, first, sizes.shape[1] - first).to(patches.dtype);
        return (patches * weights).sum(1) / weights.sum(1);
    }
}

/// <summary>What a vision tower computes with, block by block; see <see cref="VisionTower"/>.</summary>
/// <param name="Patches">`conv1`, the patch embedding.</param>
/// <param name="ClassTokens">Class tokens that the embedding puts in front of the patches, each tensor one or several of C values.</param>
/// <param name="Positions">Added to the embedded sequence [k+N,C] or [1,k+N,C].</param>
/// <param name="PreNorm">`ln_pre`; null for none.</param>
/// <param name="Blocks">The plain float layers of every block.</param>
/// <param name="FinalNorm">`ln_post`.</param>
/// <param name="Project">Turns what is pooled into features or class scores; null returns it as it is.</param>
public sealed record VisionParts(
    PatchEmbedding Patches,
    IReadOnlyList<Tensor> ClassTokens,
    Tensor Positions,
    LayerNorm? PreNorm,
    IReadOnlyList<BlockLayers> Blocks,
    LayerNorm FinalNorm,
    Func<Tensor, Tensor>? Project)
{
    /// <summary>The parts of a CLIP model, on the tensors named `visual.*`.</summary>
    internal static VisionParts OfClip(ClipConfig config, WeightTable weights)
    {
        var vision = config.Vision;
        var (width, (height, columns), leading) = (vision.Width, vision.Patch, vision.ClassTokens);
        var activation = config.QuickGelu ? Activation.QuickGelu : Activation.Gelu;
        var patches = new PatchEmbedding(
            weights.Take("visual.conv1.weight", width, vision.Channels, height, columns), weights.TakeIfPresent("visual.conv1.bias", width));
        Tensor[] classTokens = leading == 0 ? [] : [weights.Take("visual.class_embedding", leading == 1 ? [width] : [leading, width])];
        var positions = weights.Take("visual.positional_embedding", vision.Patches + leading, width);
        var preNorm = vision.NoLnPre ? null : TowerWeights.LayerNorm(weights, "visual.ln_pre", width, vision.Epsilon);
        var memories = MemoryLayers.Build(vision, weights);
        BlockLayers[] blocks =
        [
            .. Enumerable.Range(0, vision.Layers).Select(block => TowerWeights.Block(
                weights,
                $"visual.transformer.resblocks.{block}",
                width,
                vision.MlpWidth,
                vision.Heads,
                vision.Epsilon,
                activation,
                memories.GetValueOrDefault(block)) with
            {
                Before = PooledVit.BeforeOfClip(vision, weights, block),
            }),
        ];
        var finalNorm = TowerWeights.LayerNorm(weights, "visual.ln_post", width, vision.Epsilon);
        var projection = vision.HasProjection ? weights.Take("visual.proj", width * vision.PooledTokens, config.EmbedDim) : null;
        var bias = weights.TakeIfPresent("visual.proj_bias", config.EmbedDim);
        return new(patches, classTokens, positions, preNorm, blocks, finalNorm, projection is null ? null : Project);

        Tensor Project(Tensor pooled) => bias is null ? pooled.matmul(projection) : pooled.matmul(projection) + bias;
    }
}
