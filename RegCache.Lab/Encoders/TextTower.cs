using System.Diagnostics;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Towers;

namespace RegCache.Lab.Encoders;

/// <summary>The text transformer of CLIP (Radford et al. 2021, arXiv:2103.00020, section 2.4).</summary>
public sealed class TextTower
{
    private readonly Tensor _tokenEmbedding;
    private readonly Tensor _positionEmbedding;
    private readonly Tensor? _projection;
    private readonly Tensor? _projectionBias;
    private readonly Tensor? _causalMask;
    private readonly TextPooler? _pooler;

    /// <summary>Builds the tower on its named tensors.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The named tensors.</param>
    /// <param name="backend">How the blocks run where no gradients are wanted; null runs the tensor operators.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape or is not finite.</exception>
    public TextTower(ClipConfig config, WeightTable weights, IBackend? backend = null)
    {
        Config = config.Text ?? throw new ArgumentException("The configuration has no text tower.", nameof(config));
        var prefix = config.CustomText ? "text." : "";
        var activation = config.QuickGelu ? Activation.QuickGelu : Activation.Gelu;
        _tokenEmbedding = weights.Take($"{prefix}token_embedding.weight", Config.VocabSize, Config.Width);
        _positionEmbedding = weights.Take($"{prefix}positional_embedding", Config.ContextLength, Config.Width);
        Blocks =
        [
            .. Enumerable.Range(0, Config.Layers).Select(block => TowerWeights.Block(
                weights, $"{prefix}transformer.resblocks.{block}", Config.Width, Config.MlpWidth, Config.Heads, Config.Epsilon, activation)),
        ];
        Running = new(Blocks, backend);
        FinalNorm = TowerWeights.LayerNorm(weights, $"{prefix}ln_final", Config.Width, Config.Epsilon);
        if (Config.HasProjection)
        {
            // With a bias the projection is a linear layer [E,C]; without, a bare matrix [C,E].
            _projection = Config.ProjBias
                ? weights.Take($"{prefix}text_projection.weight", config.EmbedDim, Config.Width)
                : weights.Take($"{prefix}text_projection", Config.Width, config.EmbedDim);
            _projectionBias = Config.ProjBias ? weights.Take($"{prefix}text_projection.bias", config.EmbedDim) : null;
        }

        _pooler = Config.Pooling is null ? null : new(Config, weights, prefix);

        // Pooled tokens may be as many as tokens, and one more in front.
        _causalMask = Config.NoCausalMask ? null : CausalMask(Config.ContextLength + (_pooler is null ? 0 : 1), _positionEmbedding);
    }

    /// <summary>The tower's architecture.</summary>
    public TextConfig Config { get; }

    /// <summary>The plain float layers of every block.</summary>
    public IReadOnlyList<BlockLayers> Blocks { get; }

    /// <summary>The float blocks as they run.</summary>
    internal PreparedBlocks Running { get; }

    /// <summary>The device that token ids must be on.</summary>
    public torch.Device Placement => _tokenEmbedding.device;

    /// <summary>`ln_final`.</summary>
    public LayerNorm FinalNorm { get; }

    /// <summary>Added to the attention logits of every block that runs on all positions [context,context]; null when every position sees all.</summary>
    public Tensor? Mask => _causalMask is null ? null : MaskOf(Config.ContextLength);

    /// <summary>Turns token ids [B,context], int64, into the stream that enters block 0, [B,context,C].</summary>
    /// <exception cref="UserException">The rows are not of the model's context length.</exception>
    public TokenBatch Embed(Tensor ids)
    {
        if (ids.Dimensions != 2 || ids.shape[1] != Config.ContextLength)
        {
            throw new UserException(
                $"The text tower takes ids of shape [B, {Config.ContextLength}], not [{string.Join(", ", ids.shape)}]; tokenize with that context length.");
        }

        return TensorScope.Run(() =>
        {
            var words = _tokenEmbedding.index_select(0, ids.flatten()).view(ids.shape[0], ids.shape[1], -1);
            var stream = new TokenBatch(words + _positionEmbedding, new(0, 0, 1, Config.ContextLength));
            return _pooler is null ? stream : TextPooler.HidePadding(stream, FirstLargest(ids));
        });
    }

    /// <summary>Pools and projects the stream that leaves the last block to text features [B,E], not normalised.</summary>
    /// <param name="output">The stream.</param>
    /// <param name="ids">The token ids that it came from, which tell the end of each text.</param>
    public Tensor Project(TokenBatch output, Tensor ids) => TensorScope.Run(() =>
    {
        var pooled = Config.FinalLnAfterPool
            ? FinalNorm.Apply(Pool(output.Tokens, ids))
            : Pool(FinalNorm.Apply(output.Tokens), ids);
        return _projection is null ? pooled
            : Config.ProjBias ? torch.nn.functional.linear(pooled, _projection, _projectionBias)
            : pooled.matmul(_projection);
    });

    /// <summary>Encodes token ids [B,context], int64, to text features [B,E] that are not normalised.</summary>
    /// <param name="ids">Token ids, padded to the context length.</param>
    /// <param name="probe">Observer of the activations, or null.</param>
    /// <exception cref="UserException">The rows are not of the model's context length.</exception>
    public Tensor Encode(Tensor ids, IActivationProbe? probe = null) => TensorScope.Run(() =>
    {
        var stream = Embed(ids);
        for (var block = 0; block < Blocks.Count; block++)
        {
            var next = RunBlock(stream, block, Running[block], ids, probe: probe);
            stream.Tokens.Dispose();
            stream = next;
        }

        return Project(stream, ids);
    });

    /// <summary>Runs a block with its pooling, if it has any.</summary>
    /// <param name="stream">The stream that enters.</param>
    /// <param name="block">The block, 0-based.</param>
    /// <param name="layers">Its layers as they run.</param>
    /// <param name="ids">The token ids that the stream came from.</param>
    /// <param name="pass">The pass of a training, in which boundaries are drawn; null for evaluation.</param>
    /// <param name="probe">Observer of the activations, or null.</param>
    internal TokenBatch RunBlock(TokenBatch stream, int block, BlockLayers layers, Tensor ids, PoolingPass? pass = null, IActivationProbe? probe = null)
    {
        if (_pooler is null)
        {
            return TransformerBlock.Forward(stream, block, layers, BlockPlan.Plain, _causalMask, probe);
        }

        return TensorScope.Run(() =>
        {
            var arriving = _pooler.Before(block, ids, pass).Aggregate(stream, (batch, stage) => stage.Apply(batch, new(block)));
            return TransformerBlock.Forward(arriving, block, layers, BlockPlan.Plain, MaskOf(arriving.Length), probe);
        });
    }

    private Tensor? MaskOf(long length) => _causalMask is { } mask && mask.shape[0] != length ? mask.narrow(0, 0, length).narrow(1, 0, length) : _causalMask;

    private Tensor Pool(Tensor tokens, Tensor ids) => Config.PoolType switch
    {
        TextPooling.First => tokens.select(1, 0),
        TextPooling.Last => tokens.select(1, -1),
        TextPooling.ArgMax => tokens.gather(1, FirstLargest(ids).view(-1, 1, 1).expand(-1, -1, tokens.shape[2])).squeeze(1),
        TextPooling.None => tokens,
        _ => throw new UnreachableException(),
    };

    // argmax alone does not promise the first of equal ids, and padding may repeat the end-of-text id.
    private static Tensor FirstLargest(Tensor ids)
    {
        var isLargest = ids == ids.amax([1], keepdim: true);
        var countdown = torch.arange(ids.shape[1], 0, -1, dtype: torch.int64, device: ids.device);
        return (isLargest.to(torch.int64) * countdown).argmax(1);
    }

    private static Tensor CausalMask(int length, Tensor like)
    {
        using var minusInfinity = torch.full([length, length], float.NegativeInfinity, dtype: like.dtype, device: like.device);
        return minusInfinity.triu(1).DetachFromDisposeScope();
    }
}
