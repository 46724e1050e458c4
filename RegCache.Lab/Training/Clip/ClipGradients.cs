using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Training.Losses;

namespace RegCache.Lab.Training.Clip;

/// <summary>Computes the gradients of one optimiser step of CLIP (clip.md, section 13.4).</summary>
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
        batches.Count == 1 || options.Accumulation == AccumulationKind.Gradients
            ? EachByItself(batches, random)
            : Together(batches, random);

    private Tensor EachByItself(IReadOnlyList<ClipBatch> batches, CounterRandom random)
    {
        using var scope = torch.NewDisposeScope();
        Tensor? total = null;
        for (var index = 0; index < batches.Count; index++)
        {
            using var images = ImagePass(batches[index], random.Fork(index), options.GradientCheckpointing);
            using var texts = TextPass(batches[index], options.GradientCheckpointing);
            var (loss, imageGradient, textGradient) = Loss(images.Features, texts.Features, 1.0 / batches.Count);
            images.Backward(imageGradient);
            texts.Backward(textGradient);
            total = total is null ? loss : total + loss;
        }

        return total!.MoveToOuterDisposeScope();
    }

    private Tensor Together(IReadOnlyList<ClipBatch> batches, CounterRandom random)
    {
        using var scope = torch.NewDisposeScope();
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

        return loss.MoveToOuterDisposeScope();
    }

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
    private (Tensor Loss, Tensor Images, Tensor Texts) Loss(Tensor images, Tensor texts, double weight)
    {
        using var scope = torch.NewDisposeScope();
        var imageLeaf = images.detach().requires_grad_();
        var textLeaf = texts.detach().requires_grad_();
        var loss = ContrastiveLoss.Of(imageLeaf, textLeaf, model.LogitScale!.exp()) * weight;
        loss.backward();
        return (
            loss.detach().MoveToOuterDisposeScope(),
            imageLeaf.grad!.MoveToOuterDisposeScope(),
            textLeaf.grad!.MoveToOuterDisposeScope());
    }

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
        Tensor Embed(Tensor images)
        {
            using var inner = torch.NewDisposeScope();
            var stream = tower.Embed(images, options.Precision);
            return (kept is null ? stream : stream.Select(kept)).Tokens.MoveToOuterDisposeScope();
        }

        return new(
            batch.Images,
            [
                Embed,
                .. _visionBlocks.Select((layers, block) => Block(
                    layers, block, layout, wanted: block == _visionBlocks.Length - 1 ? tower.WantedTokens(probe: null) : null)),
                tokens => Normalize(tower.Project(new(tokens, layout))),
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
                tokens => Normalize(tower.Project(new(tokens, layout), batch.TextIds)),
            ],
            checkpointing);
    }

    private static Func<Tensor, Tensor> Block(
        BlockLayers layers, int block, TokenLayout layout, Tensor? mask = null, int? wanted = null) =>
        tokens => TransformerBlock.Forward(new(tokens, layout), block, layers, BlockPlan.Plain, mask, keepTokens: wanted).Tokens;

    private static Tensor Normalize(Tensor features) =>
        torch.nn.functional.normalize(features.to(torch.ScalarType.Float32), p: 2, dim: -1, eps: 1e-12);

    private static BlockLayers[] Bind(IReadOnlyList<BlockLayers> blocks, ILayerTransform? transform) =>
        [.. blocks.Select((layers, block) => transform?.Apply(block, layers) ?? layers)];
}
