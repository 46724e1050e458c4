using System.Diagnostics;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// Computes the gradients of one optimiser step of CLIP, of one micro-batch or of several that are put together. The loss meets the
/// towers at their features: each tower's pass is entered with the loss's gradient of its features.
/// </summary>
/// <param name="model">The model; tensors that require gradients receive them.</param>
/// <param name="options">Accumulation, checkpointing, precision.</param>
public sealed class ClipGradients(ClipModel model, ClipStepOptions options)
{
    private readonly BlockLayers[] _visionBlocks = Bind(model.Vision.Blocks, options.Precision);
    private readonly BlockLayers[] _textBlocks = Bind(
        model.Text?.Blocks ?? throw new UserException("CLIP training needs a model with a text tower."), options.Precision);

    /// <summary>Adds the gradients of the contrastive loss to the parameters.</summary>
    /// <param name="batches">The micro-batches of the step.</param>
    /// <param name="random">Draws the dropped patches; the same stream draws the same ones.</param>
    /// <returns>The loss [], in the caller's dispose scope.</returns>
    public Tensor Accumulate(IReadOnlyList<ClipBatch> batches, CounterRandom random) =>
        batches.Count == 1 ? EachByItself(batches, random) : options.Accumulation switch
        {
            AccumulationKind.CachedFeatures => Together(batches, random),
            AccumulationKind.Gradients => EachByItself(batches, random),
            _ => throw new UnreachableException(),
        };

    private Tensor EachByItself(IReadOnlyList<ClipBatch> batches, CounterRandom random) => TensorScope.Run(() =>
    {
        Tensor? total = null;
        double pairs = batches.Sum(batch => batch.Count);
        for (var index = 0; index < batches.Count; index++)
        {
            using var images = ImagePass(batches[index], random.Fork(index), options.GradientCheckpointing);
            using var texts = TextPass(batches[index], options.GradientCheckpointing);
            var (loss, imageGradient, textGradient) = Loss(images.Features, texts.Features, batches[index].Count / pairs);
            images.Backward(imageGradient);
            texts.Backward(textGradient);
            total = total is null ? loss : total + loss;
        }

        return total!;
    });

    private Tensor Together(IReadOnlyList<ClipBatch> batches, CounterRandom random) => TensorScope.Run(() =>
    {
        var (images, texts) = CacheFeatures(batches, random);
        var scale = model.LogitScale!;
        using var before = scale.grad;
        scale.grad = null;
        var (loss, imageGradient, textGradient) = Loss(torch.cat(images, 0), torch.cat(texts, 0), 1);
        AddScaleGradient(scale, before, options.RepeatScaleGradient ? batches.Count : 1);
        for (int index = 0, first = 0; index < batches.Count; first += batches[index++].Count)
        {
            var count = batches[index].Count;
            using (var pass = ImagePass(batches[index], random.Fork(index), options.GradientCheckpointing))
            {
                pass.Backward(imageGradient.narrow(0, first, count));
            }

            using (var pass = TextPass(batches[index], options.GradientCheckpointing))
            {
                pass.Backward(textGradient.narrow(0, first, count));
            }
        }

        return loss;
    });

    private (List<Tensor> Images, List<Tensor> Texts) CacheFeatures(IReadOnlyList<ClipBatch> batches, CounterRandom random)
    {
        var (images, texts) = (new List<Tensor>(), new List<Tensor>());
        for (var index = 0; index < batches.Count; index++)
        {
            // A checkpointed pass without its backward is a forward pass without gradients.
            using var imagePass = ImagePass(batches[index], random.Fork(index), checkpointing: true);
            using var textPass = TextPass(batches[index], checkpointing: true);
            images.Add(imagePass.Features.alias());
            texts.Add(textPass.Features.alias());
        }

        return (images, texts);
    }

    // The loss's own graph ends at the features: the towers' graphs are entered with its gradients.
    private (Tensor Loss, Tensor Images, Tensor Texts) Loss(Tensor images, Tensor texts, double weight) => TensorScope.Run(() =>
    {
        var imageLeaf = images.detach().requires_grad_();
        var textLeaf = texts.detach().requires_grad_();
        var loss = ContrastiveLoss.Of(imageLeaf, textLeaf, model.LogitScale!.exp()) * weight;
        loss.backward();
        return (loss.detach(), imageLeaf.grad!, textLeaf.grad!);
    });

    private static void AddScaleGradient(Tensor scale, Tensor? before, int times)
    {
        using var noGradient = torch.no_grad();
        if (scale.grad is { } gradient)
        {
            gradient.mul_(times);
            if (before is not null)
            {
                gradient.add_(before);
            }
        }
    }

    private TowerPass ImagePass(ClipBatch batch, CounterRandom random, bool checkpointing)
    {
        var tower = model.Vision;
        var layout = new TokenLayout(1, 0, tower.Config.Grid.Height, tower.Config.Grid.Width);
        using var scope = torch.NewDisposeScope();
        var kept = PatchDropout.Draw(batch.Count, tower.Config.Patches, options.PatchDropout, random)?.to(batch.Images.device);
        Tensor Embed(Tensor images) => TensorScope.Run(() =>
        {
            var stream = tower.Embed(images, options.Precision);
            return (kept is null ? stream : stream.Select(kept)).Tokens;
        });

        return new(
            batch.Images,
            [
                Embed,
                .. _visionBlocks.Select((layers, block) => Block(
                    layers, block, layout, wanted: block == _visionBlocks.Length - 1 ? tower.WantedTokens(probe: null) : null)),
                tokens => ZeroShotClassifier.Normalize(tower.Project(new(tokens, layout))),
            ],
            checkpointing,
            kept?.DetachFromDisposeScope());
    }

    private TowerPass TextPass(ClipBatch batch, bool checkpointing)
    {
        var tower = model.Text!;
        var layout = new TokenLayout(0, 0, 1, tower.Config.ContextLength);
        return new(
            batch.TextIds,
            [
                ids => tower.Embed(ids).Tokens,
                .. _textBlocks.Select((layers, block) => Block(layers, block, layout, mask: tower.Mask)),
                tokens => ZeroShotClassifier.Normalize(tower.Project(new(tokens, layout), batch.TextIds)),
            ],
            checkpointing);
    }

    private static Func<Tensor, Tensor> Block(
        BlockLayers layers, int block, TokenLayout layout, Tensor? mask = null, int? wanted = null) =>
        tokens => TransformerBlock.Forward(new(tokens, layout), block, layers, BlockPlan.Plain, mask, keepTokens: wanted).Tokens;

    private static BlockLayers[] Bind(IReadOnlyList<BlockLayers> blocks, ILayerTransform? transform) =>
        [.. blocks.Select((layers, block) => transform?.Apply(block, layers) ?? layers)];
}

/// <summary>How a CLIP training computes its gradients.</summary>
public sealed record ClipStepOptions
{
    /// <summary>How micro-batches are put together.</summary>
    public AccumulationKind Accumulation { get; init; } = AccumulationKind.CachedFeatures;

    /// <summary>
    /// Whether the logit scale's gradient is counted once for every micro-batch of <see cref="AccumulationKind.CachedFeatures"/>, as
    /// OpenCLIP does; otherwise it is that of the big batch.
    /// </summary>
    public bool RepeatScaleGradient { get; init; } = true;

    /// <summary>Whether blocks are computed again in the backward pass instead of keeping their activations.</summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>Probability with which a patch token is dropped; at least one stays.</summary>
    public double PatchDropout { get; init; }

    /// <summary>How the layers of both towers run; null runs them in float32.</summary>
    public ILayerTransform? Precision { get; init; }
}

/// <summary>How the micro-batches of one optimiser step are put together.</summary>
public enum AccumulationKind
{
    /// <summary>
    /// Features of all micro-batches are computed first, without gradients; the loss sees them all, so every pair is a negative of
    /// every other one and the gradient is that of the big batch; then every micro-batch runs again, forwards and backwards.
    /// </summary>
    CachedFeatures,

    /// <summary>Each micro-batch has its own loss and negatives; gradients are averaged, each weighted by its number of pairs.</summary>
    Gradients,
}
