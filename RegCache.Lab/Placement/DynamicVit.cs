using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Placement;

/// <summary>
/// A ViT classifier whose special tokens enter where its configuration says: a configuration of the one encoder, with parameters under the
/// names of timm, DeiT and DynamicTokenLocViT (docs/methods/late-tokens.md). It trains, and it runs under every plan.
/// </summary>
public sealed class DynamicVit : IDisposable
{
    private readonly Linear?[] _heads;

    /// <summary>Builds the classifier on named tensors and takes ownership of them.</summary>
    /// <param name="config">Shapes and places.</param>
    /// <param name="weights">The tensors that <see cref="PlacementParameters.Of"/> names.</param>
    /// <param name="backend">How blocks run where no gradients are wanted; null runs the tensor operators. The weights must then stay as they are.</param>
    /// <exception cref="UserException">The configuration is impossible, or a tensor is missing, of another shape or not finite.</exception>
    public DynamicVit(PlacementConfig config, WeightTable weights, IBackend? backend = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        Config = config.Validated();
        var parameters = PlacementParameters.Of(config).ToDictionary(parameter => parameter.Name, parameter => weights.Take(parameter.Name, parameter.Shape));
        string[] heads = config.IsDistilled ? ["head", "head_dist"] : ["head"];
        _heads = [.. heads.Select(head => config.Classes == 0 ? null : new Linear(parameters[$"{head}.weight"], parameters[$"{head}.bias"]))];
        var parts = PlacementTower.Parts(config, parameters) with { Project = pooled => Mean(Logits(pooled)) };
        Model = new(config.ToClip(), weights, new VisionTower(config.ToClip(), parts, backend));
    }

    /// <summary>Shapes and places.</summary>
    public PlacementConfig Config { get; }

    /// <summary>The same as a model of the one encoder, for plans, experiments and accounts; its image features are the class scores.</summary>
    public ClipModel Model { get; }

    /// <summary>The encoder.</summary>
    public VisionTower Tower => Model.Vision;

    /// <summary>The parameters by name, in the order of checkpoints. A training sets their <c>requires_grad</c>.</summary>
    public WeightTable Weights => Model.Weights;

    /// <summary>Draws a classifier.</summary>
    /// <param name="config">Shapes and places.</param>
    /// <param name="seed">The same seed draws the same parameters.</param>
    /// <param name="device">Where it computes; null for the CPU.</param>
    /// <exception cref="UserException">The configuration is impossible.</exception>
    public static DynamicVit Create(PlacementConfig config, long seed, torch.Device? device = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        using var scope = torch.NewDisposeScope();
        return new(config, PlacementParameters.Draw(config.Validated(), seed).Place(device ?? torch.CPU, torch.ScalarType.Float32));
    }

    /// <summary>Loads a classifier; see <see cref="PlacementCheckpoint"/>.</summary>
    /// <param name="path">A weight file, or a folder that <see cref="Save"/> wrote.</param>
    /// <param name="options">What the file does not tell; null for nothing.</param>
    /// <exception cref="UserException">It cannot be read, or holds another kind of model.</exception>
    public static DynamicVit Load(string path, PlacementLoadOptions? options = null) => PlacementCheckpoint.Load(path, options ?? new());

    /// <summary>Writes weights and configuration.</summary>
    /// <param name="folder">The folder; it is created.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public void Save(string folder) => PlacementCheckpoint.Save(folder, Config, Weights);

    /// <summary>
    /// Classifies images. Gradients reach every parameter where they are on. In training a distilled model gives both heads' scores, else
    /// their mean.
    /// </summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="random">Draws what training drops; the same stream draws the same. Null for evaluation, which drops nothing.</param>
    /// <param name="precision">How layers run in training, for example in bfloat16; null runs them in float32.</param>
    /// <param name="mark">In training, what the tokens pass that enter a block, such as <see cref="Distributed.GradientAverage.Mark"/>; null leaves them.</param>
    /// <exception cref="UserException">The images are not of the model's size.</exception>
    public VitScores Forward(Tensor images, CounterRandom? random = null, ILayerTransform? precision = null, Func<Tensor, Tensor>? mark = null)
    {
        if (random is null && precision is null)
        {
            return new(Tower.Encode(images), null);
        }

        return TensorScope.Run(() =>
        {
            var noise = random is { } stream ? new TrainingNoise(Config, images.shape[0], stream) : null;
            var state = Tower.Embed(images, precision);
            for (var block = 0; block < Config.Depth; block++)
            {
                var plain = Tower.Blocks[block];
                var layers = precision?.Apply(block, plain) ?? plain;
                layers = noise?.Disturb(block, plain, layers) ?? layers;
                state = TransformerBlock.Forward(
                    mark is null ? state : state with { Tokens = mark(state.Tokens) }, block, layers, BlockPlan.Plain, keepTokens: block == Config.Depth - 1 ? Tower.Config.ClassTokens : null);
            }

            var pooled = Tower.Pool(state);
            var scores = Logits(noise?.Disturb(pooled) ?? pooled);
            return noise is null || scores.Length == 1 ? new VitScores(Mean(scores), null) : new VitScores(scores[0], scores[1]);
        });
    }

    /// <summary>What the special tokens hold after the last block and the final norm.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <returns>The class feature [B,D], with that of the distillation token [B,2D] where there is one, and register features [B,R,D].</returns>
    public (Tensor Class, Tensor Registers) Features(Tensor images) => TensorScope.Run(() =>
    {
        var stream = Tower.Forward(images, Config.Depth);
        var normalised = Tower.FinalNorm.Apply(stream.Tokens);
        var (classes, registers) = (stream.Layout.ClassTokens, stream.Layout.RegisterTokens);
        return (normalised.narrow(1, 0, classes).flatten(1), normalised.narrow(1, classes, registers));
    });

    /// <inheritdoc />
    public void Dispose() => Model.Dispose();

    private Tensor[] Logits(Tensor pooled) =>
        [.. pooled.chunk(_heads.Length, -1).Select((feature, index) => _heads[index]?.Apply(feature) ?? feature)];

    private static Tensor Mean(Tensor[] scores) => scores is [var single] ? single : (scores[0] + scores[1]) / 2;
}

/// <summary>What a classifier says of a batch.</summary>
/// <param name="Logits">Class scores [B,K]; a distilled model's are those of its class head in training, else the mean of both heads.</param>
/// <param name="Distillation">Class scores of the distillation head [B,K], in training; else null.</param>
public sealed record VitScores(Tensor Logits, Tensor? Distillation) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => Distillation is null ? [Logits] : [Logits, Distillation];
}

/// <summary>Builds the encoder of a classifier on its parameters.</summary>
internal static class PlacementTower
{
    /// <summary>The parts, without what comes after pooling.</summary>
    public static VisionParts Parts(PlacementConfig config, IReadOnlyDictionary<string, Tensor> parameters)
    {
        Tensor? Find(string name) => parameters.GetValueOrDefault(name);
        var (classToken, distillation) = (parameters[PlacementParameters.ClassToken], Find(PlacementParameters.DistillationToken));
        var late = config.ToClip().Vision.LateTokens;
        return new(
            new PatchEmbedding(parameters[PlacementParameters.PatchWeight], parameters[PlacementParameters.PatchBias]),
            late is null ? [classToken, distillation!] : [],
            parameters[PlacementParameters.Positions],
            null,
            [
                .. Enumerable.Range(0, config.Depth).Select(block => Block(config, parameters, $"blocks.{block}.") with
                {
                    Before = late?.Before(block, classToken, Find(PlacementParameters.Registers), distillation) ?? [],
                }),
            ],
            Norm(config, parameters, "norm"),
            null);
    }

    private static BlockLayers Block(PlacementConfig config, IReadOnlyDictionary<string, Tensor> parameters, string block)
    {
        Linear Linear(string name) => new(parameters[$"{block}{name}.weight"], parameters.GetValueOrDefault($"{block}{name}.bias"));
        LayerNorm Norm(string name) => PlacementTower.Norm(config, parameters, block + name);
        Tensor? Gain(string name) => parameters.GetValueOrDefault(block + name);
        var queries = Scaled(config, Linear("attn.qkv"));
        if (config.Branches == 1)
        {
            return new(
                config.Heads,
                Norm("norm1"),
                queries,
                Attention.Float,
                Linear("attn.proj"),
                Norm("norm2"),
                new FeedForward(Linear("mlp.fc1"), Activation.Gelu, Linear("mlp.fc2")))
            {
                LayerScale1 = Gain("gamma_1"),
                LayerScale2 = Gain("gamma_2"),
            };
        }

        return new(
            2 * config.Heads,
            ParallelBlocks.SharedNorm(Norm("norm1")),
            ParallelBlocks.Into([(Norm("norm1"), queries), (Norm("norm11"), Scaled(config, Linear("attn1.qkv")))], sections: 3),
            Attention.Float,
            new SummedLinear([(Linear("attn.proj"), Gain("gamma_1")), (Linear("attn1.proj"), Gain("gamma_1_1"))]),
            ParallelBlocks.SharedNorm(Norm("norm2")),
            new FeedForward(
                ParallelBlocks.Into([(Norm("norm2"), Linear("mlp.fc1")), (Norm("norm21"), Linear("mlp1.fc1"))], sections: 1),
                Activation.Gelu,
                new SummedLinear([(Linear("mlp.fc2"), Gain("gamma_2")), (Linear("mlp1.fc2"), Gain("gamma_2_1"))])));
    }

    // The encoder scales queries by one over the root of a head's channels; what a configuration wants instead moves into their weights.
    private static ILinear Scaled(PlacementConfig config, Linear projection)
    {
        if (config.QkScale is not { } scale)
        {
            return projection;
        }

        var factor = scale * Math.Sqrt(config.Width / config.Heads);
        Tensor Scale(Tensor rows) => torch.cat([rows.narrow(0, 0, config.Width) * factor, rows.narrow(0, config.Width, 2L * config.Width)], 0);
        return new DerivedLinear(() => new(Scale(projection.Weight), projection.Bias is { } bias ? Scale(bias) : null));
    }

    private static LayerNorm Norm(PlacementConfig config, IReadOnlyDictionary<string, Tensor> parameters, string name) =>
        new(parameters[$"{name}.weight"], parameters[$"{name}.bias"], config.Epsilon);
}
