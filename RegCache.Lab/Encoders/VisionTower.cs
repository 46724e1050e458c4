using System.Diagnostics;
using RegCache.Lab.Memory;

namespace RegCache.Lab.Encoders;

/// <summary>
/// The vision transformer of CLIP (Radford et al. 2021, arXiv:2103.00020, section 2.4): patch embedding, class token and
/// positions, pre-norm blocks, pooling and projection.
/// </summary>
public sealed class VisionTower : IImageTower
{
    private readonly Tensor? _classEmbedding;
    private readonly Tensor _positionEmbedding;
    private readonly LayerNorm? _preNorm;
    private readonly Tensor? _projection;
    private readonly Tensor? _projectionBias;
    private PatchEmbedding? _preparedPatches;

    /// <summary>Builds the tower on the tensors named `visual.*`.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The named tensors.</param>
    /// <param name="backend">How the blocks run where no gradients are wanted; null runs the tensor operators.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape or is not finite.</exception>
    public VisionTower(ClipConfig config, WeightTable weights, IBackend? backend = null)
    {
        Config = config.Vision;
        var (width, patch) = (Config.Width, Config.PatchSize);
        var activation = config.QuickGelu ? Activation.QuickGelu : Activation.Gelu;
        Patches = new(weights.Take("visual.conv1.weight", width, 3, patch, patch), weights.TakeIfPresent("visual.conv1.bias", width));
        var leading = Config.ClassTokens;
        _classEmbedding = leading == 0 ? null : weights.Take("visual.class_embedding", leading == 1 ? [width] : [leading, width]);
        _positionEmbedding = weights.Take("visual.positional_embedding", Config.Patches + leading, width);
        _preNorm = Config.NoLnPre ? null : TowerWeights.LayerNorm(weights, "visual.ln_pre", width, Config.Epsilon);
        var memories = MemoryLayers.Build(Config, weights);
        Blocks =
        [
            .. Enumerable.Range(0, Config.Layers).Select(block => TowerWeights.Block(
                weights,
                $"visual.transformer.resblocks.{block}",
                width,
                Config.MlpWidth,
                Config.Heads,
                Config.Epsilon,
                activation,
                memories.GetValueOrDefault(block))),
        ];
        Backend = backend;
        Running = new(Blocks, backend);
        FinalNorm = TowerWeights.LayerNorm(weights, "visual.ln_post", width, Config.Epsilon);
        Features = config.EmbedDim;
        _projection = Config.HasProjection ? weights.Take("visual.proj", width * Config.PooledTokens, config.EmbedDim) : null;
        _projectionBias = weights.TakeIfPresent("visual.proj_bias", config.EmbedDim);
    }

    /// <inheritdoc />
    public VisionConfig Config { get; }

    /// <summary>The plain float layers of every block.</summary>
    public IReadOnlyList<BlockLayers> Blocks { get; }

    /// <summary>How the blocks run where no gradients are wanted; null runs the tensor operators.</summary>
    public IBackend? Backend { get; }

    /// <summary>The float blocks as they run.</summary>
    internal PreparedBlocks Running { get; }

    /// <summary>`conv1`, the plain patch embedding.</summary>
    public PatchEmbedding Patches { get; }

    /// <summary>`ln_post`.</summary>
    public LayerNorm FinalNorm { get; }

    /// <inheritdoc />
    public (torch.Device Device, torch.ScalarType Type) Placement => (Patches.Weight.device, Patches.Weight.dtype);

    /// <inheritdoc />
    public int Features { get; }

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
        var classTokens = _classEmbedding?.to(patches.dtype).view(1, Config.ClassTokens, -1).expand(patches.shape[0], -1, -1);
        var tokens = (classTokens is null ? patches : torch.cat([classTokens, patches], 1)) + _positionEmbedding.to(patches.dtype);
        tokens = _preNorm?.Apply(tokens) ?? tokens;
        return new TokenBatch(tokens, new(Config.ClassTokens, 0, Config.Grid.Height, Config.Grid.Width));
    });

    /// <summary>Pools and projects the stream that leaves the last block to image features [B,E], not normalised.</summary>
    public Tensor Project(TokenBatch output) => TensorScope.Run(() =>
    {
        var pooled = Pool(output);
        var features = _projection is null ? pooled : pooled.matmul(_projection);
        return _projectionBias is null ? features : features + _projectionBias;
    });

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

    private Tensor Pool(TokenBatch output) => Config.PoolType switch
    {
        VisionPooling.ClassToken => FinalNorm.Apply(output.Tokens.narrow(1, 0, Config.ClassTokens)).flatten(1),
        VisionPooling.None => FinalNorm.Apply(output.Tokens),
        VisionPooling.Average when Config.FinalLnAfterPool => FinalNorm.Apply(Average(output, output.Tokens)),
        VisionPooling.Average => Average(output, FinalNorm.Apply(output.Tokens)),
        _ => throw new UnreachableException(),
    };

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
