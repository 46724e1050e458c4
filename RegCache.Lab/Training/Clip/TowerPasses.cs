using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Training.Clip;

/// <summary>Makes the passes of a model's towers. What is trained is what requires gradients when a pass is made.</summary>
/// <param name="model">The model.</param>
/// <param name="precision">How the layers of both towers run; null runs them in float32.</param>
/// <param name="patchDropout">Probability with which a patch token is dropped; at least one stays.</param>
internal sealed class TowerPasses(ClipModel model, ILayerTransform? precision, double patchDropout)
{
    private const string VisionBlocks = "visual.transformer.resblocks.";

    private readonly BlockLayers[] _visionBlocks = Bind((model.ImageTower as VisionTower)?.Blocks ?? [], precision);
    private readonly BlockLayers[] _textBlocks = Bind(model.Text?.Blocks ?? [], precision);

    /// <summary>Encodes images.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="random">Draws the dropped patches; the same stream draws the same ones.</param>
    /// <param name="checkpointing">Whether activations inside blocks are forgotten.</param>
    /// <param name="normalize">Whether features get unit length.</param>
    /// <param name="firstImage">Where the images begin in the batch of all processes.</param>
    public TowerPass Images(Tensor images, CounterRandom random, bool checkpointing, bool normalize = true, int firstImage = 0) =>
        model.ImageTower is ModifiedResNet network
            ? Images(network, images, checkpointing, normalize)
            : Images(model.Vision, images, random, firstImage, checkpointing, normalize);

    /// <summary>Encodes texts to features of unit length.</summary>
    /// <param name="ids">Token ids [B,context], int64.</param>
    /// <param name="checkpointing">Whether activations inside blocks are forgotten.</param>
    public TowerPass Texts(Tensor ids, bool checkpointing)
    {
        var tower = model.Text!;
        var prefix = model.Config.CustomText ? "text." : "";
        var layout = new TokenLayout(0, 0, 1, tower.Config.ContextLength);
        return new(
            ids,
            [
                inputs => tower.Embed(inputs).Tokens,
                .. _textBlocks.Select((layers, block) => Block(layers, block, layout, mask: tower.Mask)),
                tokens => ZeroShotClassifier.Normalize(tower.Project(new(tokens, layout), ids)),
            ],
            checkpointing,
            FirstTrained(
                _textBlocks.Length,
                name => name.StartsWith("visual.", StringComparison.Ordinal) || name.StartsWith("logit_", StringComparison.Ordinal) ? null
                    : BlockOf(name, $"{prefix}transformer.resblocks.") ?? (name.StartsWith($"{prefix}ln_final", StringComparison.Ordinal) || name.StartsWith($"{prefix}text_projection", StringComparison.Ordinal)
                        ? _textBlocks.Length + 1
                        : 0)));
    }

    // A ResNet that is not trained runs as it was trained, with its own statistics.
    private TowerPass Images(ModifiedResNet network, Tensor images, bool checkpointing, bool normalize)
    {
        var isTrained = model.Weights.Parameters.Any(pair => pair.Value.requires_grad && pair.Key.StartsWith("visual.", StringComparison.Ordinal));
        var segments = isTrained ? network.TrainingSegments(precision is null ? null : torch.ScalarType.BFloat16) : [network.Encode];
        Tensor Finish(Tensor features) => normalize ? ZeroShotClassifier.Normalize(features) : features.alias();
        return new(images, [.. segments, Finish], checkpointing, isTrained ? 0 : segments.Count + 1);
    }

    private TowerPass Images(VisionTower tower, Tensor images, CounterRandom random, int firstImage, bool checkpointing, bool normalize)
    {
        var layout = new TokenLayout(tower.Config.ClassTokens, 0, tower.Config.Grid.Height, tower.Config.Grid.Width);
        using var scope = torch.NewDisposeScope();
        var kept = PatchDropout.Draw((int)images.shape[0], tower.Config.Patches, patchDropout, random, firstImage)?.to(images.device);
        Tensor Embed(Tensor pixels) => TensorScope.Run(() =>
        {
            var stream = tower.Embed(pixels, precision);
            return (kept is null ? stream : stream.Select(kept)).Tokens;
        });
        Tensor Project(Tensor tokens) => TensorScope.Run(() =>
        {
            var features = tower.Project(new(tokens, layout));
            return normalize ? ZeroShotClassifier.Normalize(features) : features;
        });

        return new(
            images,
            [
                Embed,
                .. _visionBlocks.Select((layers, block) => Block(
                    layers, block, layout, wanted: block == _visionBlocks.Length - 1 ? tower.WantedTokens(probe: null) : null)),
                Project,
            ],
            checkpointing,
            FirstTrained(
                _visionBlocks.Length,
                name => !name.StartsWith("visual.", StringComparison.Ordinal) ? null
                    : BlockOf(name, VisionBlocks) ?? (name.StartsWith("visual.ln_post", StringComparison.Ordinal) || name.StartsWith("visual.proj", StringComparison.Ordinal)
                        ? _visionBlocks.Length + 1
                        : 0)),
            kept?.DetachFromDisposeScope());
    }

    private static Func<Tensor, Tensor> Block(
        BlockLayers layers, int block, TokenLayout layout, Tensor? mask = null, int? wanted = null) =>
        tokens => TransformerBlock.Forward(new(tokens, layout), block, layers, BlockPlan.Plain, mask, keepTokens: wanted).Tokens;

    private static BlockLayers[] Bind(IReadOnlyList<BlockLayers> blocks, ILayerTransform? transform) =>
        [.. blocks.Select((layers, block) => transform?.Apply(block, layers) ?? layers)];

    // Segment 0 embeds, segment b + 1 is block b, the last one projects.
    private static int? BlockOf(string name, string start) =>
        name.StartsWith(start, StringComparison.Ordinal) ? int.Parse(name.AsSpan(start.Length, name.IndexOf('.', start.Length) - start.Length)) + 1 : null;

    private int FirstTrained(int blocks, Func<string, int?> segmentOf) => model.Weights.Parameters
        .Where(pair => pair.Value.requires_grad)
        .Select(pair => segmentOf(pair.Key))
        .Min() ?? blocks + 2;
}
