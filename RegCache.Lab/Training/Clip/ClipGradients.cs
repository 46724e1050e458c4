using System.Diagnostics;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// Computes the gradients of one optimiser step of CLIP, of one micro-batch or of several that are put together. The loss meets the
/// towers at their features: each tower's pass is entered with the loss's gradient of its features. Of several processes each computes the loss of its
/// own pairs against those of all (docs/methods/clip.md, "Contrastive loss"); the mean of their gradients is that of the whole batch.
/// </summary>
public sealed class ClipGradients
{
    private readonly ClipModel _model;
    private readonly ClipStepOptions _options;
    private readonly TowerPasses _passes;

    /// <summary>Prepares the passes.</summary>
    /// <param name="model">The model; tensors that require gradients receive them.</param>
    /// <param name="options">Accumulation, checkpointing, precision, captions.</param>
    /// <exception cref="UserException">The model has no text tower.</exception>
    public ClipGradients(ClipModel model, ClipStepOptions options)
    {
        _ = model.Text ?? throw new UserException("CLIP training needs a model with a text tower.");
        (_model, _options, _passes) = (model, options, new(model, options.Precision, options.PatchDropout) { Average = options.Average });
    }

    /// <summary>What the poolings of the last step reported; their losses have been added to the gradients.</summary>
    internal BoundaryLog Boundaries { get; } = new();

    /// <summary>Adds the gradients of the contrastive loss to the parameters, and those of boundaries where towers pool.</summary>
    /// <param name="batches">The micro-batches of the step.</param>
    /// <param name="random">Draws the dropped patches and the boundaries; the same stream draws the same ones.</param>
    /// <returns>The contrastive loss and its terms, in the caller's dispose scope.</returns>
    public CaptionLoss Accumulate(IReadOnlyList<ClipBatch> batches, CounterRandom random)
    {
        Boundaries.Clear();
        return batches.Count == 1 ? EachByItself(batches, random) : _options.Accumulation switch
        {
            AccumulationKind.CachedFeatures => Together(batches, random),
            AccumulationKind.Gradients => EachByItself(batches, random),
            _ => throw new UnreachableException(),
        };
    }

    private CaptionLoss EachByItself(IReadOnlyList<ClipBatch> batches, CounterRandom random) => TensorScope.Run(() =>
    {
        CaptionLoss? total = null;
        var shares = BatchShare.Of(batches, _options.Processes);
        for (var index = 0; index < batches.Count; index++)
        {
            var share = shares[index];
            using var images = _passes.Images(
                batches[index].Images, random.Fork(index), _options.GradientCheckpointing, share: share.OfStep, firstImage: share.First);
            using var texts = _passes.Texts(batches[index].TextIds, _options.GradientCheckpointing, share.Own(random.Fork(index)), share.OfStep);
            var (loss, imageGradient, textGradient) = Loss(images.Features, Captions(texts.Features), share.OfStep);
            images.Backward(imageGradient);
            texts.Backward(textGradient.flatten(0, 1));
            Note(images, texts, share.OfStep);
            total = total is null ? loss : total.Plus(loss);
        }

        return total!;
    });

    private CaptionLoss Together(IReadOnlyList<ClipBatch> batches, CounterRandom random) => TensorScope.Run(() =>
    {
        var shares = BatchShare.Of(batches, _options.Processes);
        var (images, texts) = CacheFeatures(batches, shares, random);
        var scale = _model.LogitScale!;
        using var before = scale.grad;
        scale.grad = null;
        var (loss, imageGradient, textGradient) = Loss(torch.cat(images, 0), torch.cat(texts, 1), shares.Sum(share => share.OfStep));
        AddScaleGradient(scale, before, _options.RepeatScaleGradient ? batches.Count : 1);
        for (int index = 0, first = 0; index < batches.Count; first += batches[index++].Count)
        {
            var count = batches[index].Count;
            var share = shares[index];
            using (var pass = _passes.Images(
                batches[index].Images, random.Fork(index), _options.GradientCheckpointing, share: share.OfStep, firstImage: share.First))
            {
                pass.Backward(imageGradient.narrow(0, first, count));
                Note(pass, null, share.OfStep);
            }

            using (var pass = _passes.Texts(batches[index].TextIds, _options.GradientCheckpointing, share.Own(random.Fork(index)), share.OfStep))
            {
                pass.Backward(textGradient.narrow(1, first, count).flatten(0, 1));
                Note(null, pass, share.OfStep);
            }
        }

        return loss;
    });

    private (List<Tensor> Images, List<Tensor> Texts) CacheFeatures(
        IReadOnlyList<ClipBatch> batches, BatchShare[] shares, CounterRandom random)
    {
        var (images, texts) = (new List<Tensor>(), new List<Tensor>());
        for (var index = 0; index < batches.Count; index++)
        {
            // A checkpointed pass without its backward is a forward pass without gradients.
            using var imagePass = _passes.Images(batches[index].Images, random.Fork(index), checkpointing: true, firstImage: shares[index].First);
            using var textPass = _passes.Texts(batches[index].TextIds, checkpointing: true, shares[index].Own(random.Fork(index)));
            images.Add(imagePass.Features.alias());
            texts.Add(Captions(textPass.Features.alias()));
        }

        return (images, texts);
    }

    private void Note(TowerPass? images, TowerPass? texts, double share)
    {
        Boundaries.Add("", images?.Pooling, share);
        Boundaries.Add("text_", texts?.Pooling, share);
    }

    // Features [T B,E] of all captions as [T,B,E].
    private Tensor Captions(Tensor texts) => texts.view(_options.CaptionWeights.Count, -1, texts.shape[^1]);

    // The loss's own graph ends at the features: the towers' graphs are entered with its gradients.
    private (CaptionLoss Loss, Tensor Images, Tensor Texts) Loss(Tensor images, Tensor texts, double weight) => TensorScope.Run(() =>
    {
        if (_options.Processes.Size > 1)
        {
            return LossAmongProcesses(images, texts, weight);
        }

        var imageLeaf = images.detach().requires_grad_();
        var textLeaf = texts.detach().requires_grad_();
        var loss = CaptionLoss.Of(imageLeaf, textLeaf, _model.LogitScale!.exp(), _options.CaptionWeights, weight);
        loss.Total.backward();
        return (loss.Detached(), imageLeaf.grad!, textLeaf.grad!);
    });

    // Each process compares its own pairs with all; the gradients that reach others' features are theirs.
    private (CaptionLoss Loss, Tensor Images, Tensor Texts) LossAmongProcesses(Tensor images, Tensor texts, double weight)
    {
        var processes = _options.Processes;
        long[] counts = [.. processes.GatherNumbers(images.shape[0]).Select(count => (long)count[0])];
        Tensor[] Leaves(Tensor all) => [.. all.split(counts, 0).Select(part => part.detach().requires_grad_())];
        var imageLeaves = Leaves(processes.Gather(images));
        var textLeaves = Leaves(processes.Gather(texts.transpose(0, 1)));
        var loss = CaptionLoss.Of(
            textLeaves.Select(part => part.unbind(1)).ToArray(), imageLeaves, processes.Rank, _model.LogitScale!.exp(), _options.CaptionWeights, weight);
        loss.Total.backward();
        Tensor Own(Tensor[] leaves)
        {
            var gradient = torch.cat([.. leaves.Select(leaf => leaf.grad!)], 0);
            processes.Sum(gradient);
            return gradient.narrow(0, counts[..processes.Rank].Sum(), counts[processes.Rank]);
        }

        return (loss.Detached(), Own(imageLeaves), Own(textLeaves).transpose(0, 1));
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

    /// <summary>The weights of the contrastive terms, one for each caption of an image: long and short ones in finetuning.</summary>
    public ValueList<double> CaptionWeights { get; init; } = [1];

    /// <summary>The processes that compute the step together.</summary>
    public IProcessGroup Processes { get; init; } = SingleProcess.Instance;

    /// <summary>What averages the gradients over the processes; null where nothing does.</summary>
    public GradientAverage? Average { get; init; }
}

/// <summary>A process's part of a micro-batch of all processes. Pairs that cannot be read make parts unequal.</summary>
/// <param name="First">How many of the micro-batch's pairs the processes before this one have.</param>
/// <param name="OfMicroBatch">Its share of the micro-batch's pairs, times the number of processes: 1 where all have as many.</param>
/// <param name="OfStep">Its share of the pairs of all micro-batches, times the number of processes: with it a mean over its own pairs counts in a mean over processes.</param>
internal sealed record BatchShare(int First, double OfMicroBatch, double OfStep)
{
    /// <summary>A stream for what each process draws for its own images, such as boundaries.</summary>
    public CounterRandom Own(CounterRandom stream) => First == 0 ? stream : stream.Fork(-First);

    /// <summary>The parts of a step's micro-batches.</summary>
    public static BatchShare[] Of(IReadOnlyList<ClipBatch> batches, IProcessGroup processes)
    {
        var counts = processes.GatherNumbers([.. batches.Select(batch => (double)batch.Count)]);
        var whole = counts.Sum(process => process.Sum());
        return
        [
            .. batches.Select((batch, index) => new BatchShare(
                (int)counts.Take(processes.Rank).Sum(process => process[index]),
                (double)batch.Count * processes.Size / counts.Sum(process => process[index]),
                (double)batch.Count * processes.Size / whole)),
        ];
    }
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
