using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling.Towers;

/// <summary>
/// Towers of the encoder's own pre-norm blocks that pool between them: CLIP's, and DRIP's first two generations under their names
/// (docs/methods/pooled-towers.md, "Towers"). Their pooling is a stage of the architecture at the seam between blocks, so every plan runs on them.
/// </summary>
internal static class PooledVit
{
    private const string Prefix = "visual.";
    private const string ClassToken = $"{Prefix}cls_token", Positions = $"{Prefix}pos_embed", Patches = $"{Prefix}patch_embed.proj";
    private const string Norm = $"{Prefix}norm", Head = $"{Prefix}head", NullGroup = $"{Prefix}null_group";

    private static readonly string[] _stacks = ["pre_blocks", "shorten_blocks", "post_blocks"];

    /// <summary>What CLIP's tower has besides its own tensors.</summary>
    public static IEnumerable<(string Name, long[] Shape)> MoreOfClip(VisionConfig vision, int features) =>
        TowerPredictors.Parameters(Prefix, vision.Pooling!, vision.Width, vision.MlpWidth);

    /// <summary>The stages of CLIP's tower before a block.</summary>
    public static ValueList<ITokenStage> BeforeOfClip(VisionConfig vision, WeightTable weights, int block) => vision.Pooling is not { } pooling
        ? []
        :
        [
            .. Enumerable.Range(0, pooling.Poolings)
                .Where(index => pooling.Layers.Take(index + 1).Sum() == block)
                .Select(index => new PoolRuns(
                    pooling.RuleEntry, pooling.Options(index), TowerPredictors.From(weights, Prefix, pooling, index, vision.Width, vision.MlpWidth))
                {
                    Order = pooling.Order, KeepsPadding = pooling.AttendPadding,
                }),
        ];

    /// <summary>Tensors of the tower that reads pooled tokens back.</summary>
    public static IEnumerable<(string Name, long[] Shape)> OfUnpooled(VisionConfig vision, int features) =>
        [(NullGroup, [1, 1, vision.Width]), (Positions, [1, vision.Patches, vision.Width]), .. Common(vision, features)];

    /// <summary>Tensors of the tower with a class token.</summary>
    public static IEnumerable<(string Name, long[] Shape)> OfClass(VisionConfig vision, int features) =>
        [(ClassToken, [1, 1, vision.Width]), (Positions, [1, vision.Patches + 1, vision.Width]), .. Common(vision, features)];

    /// <summary>Builds the tower that reads pooled tokens back.</summary>
    public static IImageTower BuildUnpooled(ClipConfig config, WeightTable weights, IBackend? backend)
    {
        var nullRow = weights.Take(NullGroup, 1, 1, config.Vision.Width);
        var pooling = config.Vision.Pooling!;
        return Build(config, weights, backend, [], (block, stage) =>
            block == pooling.Layers[0] && block == pooling.Depth - pooling.Layers[2] ? [stage with { NullRow = nullRow }, new ReadPooled()]
            : block == pooling.Layers[0] ? [stage with { NullRow = nullRow }]
            : block == pooling.Depth - pooling.Layers[2] ? [new ReadPooled()]
            : []);
    }

    /// <summary>Builds the tower with a class token.</summary>
    public static IImageTower BuildClass(ClipConfig config, WeightTable weights, IBackend? backend) => Build(
        config,
        weights,
        backend,
        [weights.Take(ClassToken, 1, 1, config.Vision.Width)],
        (block, stage) => block == config.Vision.Pooling!.Layers[0] ? [stage] : []);

    private static VisionTower Build(
        ClipConfig config, WeightTable weights, IBackend? backend, IReadOnlyList<Tensor> classTokens, Func<int, PoolRuns, ValueList<ITokenStage>> before)
    {
        var (vision, pooling) = (config.Vision, config.Vision.Pooling!);
        var (width, (height, columns)) = (vision.Width, vision.Patch);
        var norm = TowerWeights.LayerNorm(weights, Norm, width, vision.Epsilon);
        var stage = new PoolRuns(pooling.RuleEntry, pooling.Options(0), TowerPredictors.From(weights, Prefix, pooling, 0, width, Inner(vision)))
        {
            Order = pooling.Order, StreamNorm = norm, KeepsPadding = pooling.AttendPadding,
        };
        BlockLayers[] blocks =
        [
            .. BlockNames(pooling).Select((name, block) => Block(weights, $"{Prefix}{name}.", vision) with { Before = before(block, stage) }),
        ];
        var head = new Linear(weights.Take($"{Head}.weight", config.EmbedDim, width), weights.Take($"{Head}.bias", config.EmbedDim));
        var patches = new PatchEmbedding(weights.Take($"{Patches}.weight", width, vision.Channels, height, columns), weights.Take($"{Patches}.bias", width));
        return new(config, new VisionParts(patches, classTokens, weights.Take(Positions, 1, vision.Patches + classTokens.Count, width), null, blocks, norm, head.Apply), backend);
    }

    private static IEnumerable<string> BlockNames(TowerPooling pooling) =>
        pooling.Layers.Zip(_stacks).SelectMany(stack => Enumerable.Range(0, stack.First).Select(layer => $"{stack.Second}.{layer}"));

    // The predictor of these two is twice as wide as tokens, whatever the MLPs are.
    private static int Inner(VisionConfig vision) => 2 * vision.Width;

    private static IEnumerable<(string Name, long[] Shape)> Common(VisionConfig vision, int features)
    {
        var (width, inner, pooling) = (vision.Width, vision.MlpWidth, vision.Pooling!);
        static (string, long[])[] Pair(string name, params long[] shape) => [($"{name}.weight", shape), ($"{name}.bias", [shape[0]])];
        return
        [
            .. Pair(Patches, width, vision.Channels, vision.Patch.Height, vision.Patch.Width),
            .. BlockNames(pooling).SelectMany(name => (IEnumerable<(string, long[])>)
            [
                .. Pair($"{Prefix}{name}.norm1", width),
                ($"{Prefix}{name}.attn.in_proj_weight", [3 * width, width]), ($"{Prefix}{name}.attn.in_proj_bias", [3 * width]),
                .. Pair($"{Prefix}{name}.attn.out_proj", width, width),
                .. Pair($"{Prefix}{name}.norm2", width),
                .. Pair($"{Prefix}{name}.mlp.0", inner, width),
                .. Pair($"{Prefix}{name}.mlp.3", width, inner),
            ]),
            .. TowerPredictors.Parameters(Prefix, pooling, width, Inner(vision)),
            .. Pair(Norm, width),
            .. Pair(Head, features, width),
        ];
    }

    private static BlockLayers Block(WeightTable weights, string name, VisionConfig vision)
    {
        var (width, inner) = (vision.Width, vision.MlpWidth);
        Linear Linear(string layer, string separator, int output, int input) => new(
            weights.Take($"{name}{layer}{separator}weight", output, input), weights.Take($"{name}{layer}{separator}bias", output));
        return new(
            vision.Heads,
            TowerWeights.LayerNorm(weights, $"{name}norm1", width, vision.Epsilon),
            Linear("attn.in_proj", "_", 3 * width, width),
            Attention.Float,
            Linear("attn.out_proj", ".", width, width),
            TowerWeights.LayerNorm(weights, $"{name}norm2", width, vision.Epsilon),
            new FeedForward(Linear("mlp.0", ".", inner, width), Activation.Gelu, Linear("mlp.3", ".", width, inner)));
    }
}
