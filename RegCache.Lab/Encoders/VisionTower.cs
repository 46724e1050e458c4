namespace RegCache.Lab.Encoders;

/// <summary>
/// The vision transformer of CLIP (clip.md, section 3): patch embedding, class token and positions, pre-norm blocks,
/// pooling and projection.
/// </summary>
public sealed class VisionTower
{
    private readonly Tensor _classEmbedding;
    private readonly Tensor _positionEmbedding;
    private readonly LayerNorm? _preNorm;
    private readonly Tensor _projection;

    /// <summary>Builds the tower on the tensors named `visual.*`.</summary>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape or is not finite.</exception>
    public VisionTower(ClipConfig config, WeightTable weights)
    {
        Config = config.Vision;
        var (width, patch) = (Config.Width, Config.PatchSize);
        var activation = config.QuickGelu ? Activation.QuickGelu : Activation.Gelu;
        Patches = new(weights.Take("visual.conv1.weight", width, 3, patch, patch));
        _classEmbedding = weights.Take("visual.class_embedding", width);
        _positionEmbedding = weights.Take("visual.positional_embedding", Config.Patches + 1, width);
        _preNorm = Config.NoLnPre ? null : TowerWeights.LayerNorm(weights, "visual.ln_pre", width, Config.Epsilon);
        Blocks =
        [
            .. Enumerable.Range(0, Config.Layers).Select(block => TowerWeights.Block(
                weights, $"visual.transformer.resblocks.{block}", width, Config.MlpWidth, Config.Heads, Config.Epsilon, activation)),
        ];
        FinalNorm = TowerWeights.LayerNorm(weights, "visual.ln_post", width, Config.Epsilon);
        _projection = weights.Take("visual.proj", width, config.EmbedDim);
    }

    /// <summary>The tower's architecture.</summary>
    public VisionConfig Config { get; }

    /// <summary>The plain float layers of every block.</summary>
    public IReadOnlyList<BlockLayers> Blocks { get; }

    /// <summary>`conv1`, the plain patch embedding.</summary>
    public PatchEmbedding Patches { get; }

    /// <summary>`ln_post`.</summary>
    public LayerNorm FinalNorm { get; }

    /// <summary>Device and number type that images must have.</summary>
    public (torch.Device Device, torch.ScalarType Type) Placement => (_projection.device, _projection.dtype);

    /// <summary>Turns images [B,3,H,W] into the stream that enters block 0, [B,1+N,C].</summary>
    /// <param name="images">Normalised images.</param>
    /// <param name="scheme">How the patch embedding runs; null runs it in float.</param>
    /// <exception cref="UserException">The images are not of the size that the model takes.</exception>
    public TokenBatch Embed(Tensor images, ILayerScheme? scheme = null)
    {
        var (height, width) = Config.ImageSize;
        if (images.Dimensions != 4 || images.shape[1] != 3 || images.shape[2] != height || images.shape[3] != width)
        {
            throw new UserException(
                $"The model takes images of shape [B, 3, {height}, {width}], not [{string.Join(", ", images.shape)}]; resize them first.");
        }

        using var scope = torch.NewDisposeScope();
        var stream = Arrange((scheme?.Apply(Patches) ?? Patches).Apply(images));
        stream.Tokens.MoveToOuterDisposeScope();
        return stream;
    }

    /// <summary>Turns embedded patches [B,C,h,w] into the stream that enters block 0: class token, positions, `ln_pre`.</summary>
    internal TokenBatch Arrange(Tensor embedded)
    {
        using var scope = torch.NewDisposeScope();
        var patches = embedded.flatten(2).transpose(1, 2);
        var classTokens = _classEmbedding.to(patches.dtype).view(1, 1, -1).expand(patches.shape[0], -1, -1);
        var tokens = torch.cat([classTokens, patches], 1) + _positionEmbedding.to(patches.dtype);
        tokens = _preNorm?.Apply(tokens) ?? tokens;
        var layout = new TokenLayout(1, 0, Config.Grid.Height, Config.Grid.Width);
        return new(tokens.MoveToOuterDisposeScope(), layout);
    }

    /// <summary>Pools and projects the stream that leaves the last block to image features [B,E], not normalised.</summary>
    public Tensor Project(TokenBatch output)
    {
        using var scope = torch.NewDisposeScope();
        var pooled = Config.FinalLnAfterPool || Config.PoolType == VisionPooling.ClassToken
            ? FinalNorm.Apply(Pool(output, output.Tokens))
            : Pool(output, FinalNorm.Apply(output.Tokens));
        return pooled.matmul(_projection).MoveToOuterDisposeScope();
    }

    /// <summary>Projects every patch token of the last block's output, [B,N,C] to [B,N,E], for dense prediction.</summary>
    public Tensor ProjectPatches(TokenBatch output)
    {
        using var scope = torch.NewDisposeScope();
        var patches = output.Tokens.narrow(1, output.Layout.ProtectedTokens, output.Length - output.Layout.ProtectedTokens);
        return FinalNorm.Apply(patches).matmul(_projection).MoveToOuterDisposeScope();
    }

    /// <summary>Encodes images [B,3,H,W] as trained, to features [B,E] that are not normalised.</summary>
    /// <param name="images">Normalised images.</param>
    /// <param name="probe">Observer of the activations, or null.</param>
    public Tensor Encode(Tensor images, IActivationProbe? probe = null)
    {
        using var scope = torch.NewDisposeScope();
        return Project(Forward(images, Blocks.Count, probe)).MoveToOuterDisposeScope();
    }

    /// <summary>Runs the first blocks as trained and returns the stream that leaves them [B,1+N,C].</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="blocks">How many blocks to run.</param>
    /// <param name="probe">Observer of the activations, or null.</param>
    public TokenBatch Forward(Tensor images, int blocks, IActivationProbe? probe = null)
    {
        using var scope = torch.NewDisposeScope();
        var stream = Embed(images);
        for (var block = 0; block < blocks; block++)
        {
            var next = TransformerBlock.Forward(stream, block, Blocks[block], BlockPlan.Plain, probe: probe);
            stream.Tokens.Dispose();
            stream = next;
        }

        stream.Tokens.MoveToOuterDisposeScope();
        return stream;
    }

    private Tensor Pool(TokenBatch output, Tensor tokens)
    {
        if (Config.PoolType != VisionPooling.Average)
        {
            return Config.PoolType == VisionPooling.None ? tokens : tokens.select(1, 0);
        }

        var first = output.Layout.ProtectedTokens;
        var patches = tokens.narrow(1, first, tokens.shape[1] - first);
        if (output.Sizes is not { } sizes)
        {
            return patches.mean([1]);
        }

        // Merged tokens count for all their patches (token-merging.md, section 4).
        var weights = sizes.narrow(1, first, sizes.shape[1] - first).to(patches.dtype);
        return (patches * weights).sum(1) / weights.sum(1);
    }
}
