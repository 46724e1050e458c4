using System.Diagnostics;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// Runs the calibration images through the float model and records what every matrix product took and gave, and the
/// gradient of the loss at its output. Blocks are visited from the last to the first: each runs again from its stored
/// input and hands the gradient on to the block before, so that one block's recordings are in memory at a time.
/// </summary>
internal sealed class FloatRecording : IDisposable
{
    private readonly VisionTower _tower;
    private readonly CalibrationImages _images;
    private readonly Ptq4VitOptions _options;
    private readonly EncoderPlan _plan;
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    // For every mini-batch the stream that enters each block, and that leaves the last.
    private readonly TokenBatch[][] _streams;

    // For every mini-batch the gradient at the stream that the visit has reached.
    private readonly Tensor[] _gradients;

    /// <summary>Runs the images forward.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="classifier">Turns features into the logits of the loss.</param>
    /// <param name="images">The calibration images.</param>
    /// <param name="options">Loss and mini-batch.</param>
    /// <param name="plan">Token stages and prefixes; its transforms are ignored.</param>
    public FloatRecording(
        VisionTower tower, ZeroShotClassifier classifier, CalibrationImages images, Ptq4VitOptions options, EncoderPlan plan)
    {
        (_tower, _images, _options, _plan) = (tower, images, options, plan);
        _streams = RunForward();
        var loss = new LogitLoss(classifier, options);
        _gradients = NeedsGradients ? [.. _streams.Select(stream => LossGradient(loss, stream[^1]))] : [];
    }

    /// <summary>Whether the loss has a gradient at the stream that the visit has reached, if one is wanted.</summary>
    public bool HasGradient => !NeedsGradients || _gradients.Any(gradient => gradient.count_nonzero().item<long>() > 0);

    private bool NeedsGradients => _options.Metric == OutputMetric.Hessian;

    /// <summary>Visits blocks, the last one first.</summary>
    /// <param name="visit">Takes a block's index and what was recorded of it.</param>
    /// <param name="isWanted">Which blocks are visited, the others only hand the gradient on; null: all.</param>
    public void VisitBlocks(Action<int, BlockRecorder> visit, Func<int, bool>? isWanted = null)
    {
        for (var block = _tower.Blocks.Count - 1; block >= 0; block--)
        {
            _images.Cancellation.ThrowIfCancellationRequested();
            var isVisited = isWanted?.Invoke(block) ?? true;
            if (!isVisited && !NeedsGradients)
            {
                continue;
            }

            using var scope = torch.NewDisposeScope();
            using var recorder = new BlockRecorder(isVisited);
            for (var part = 0; part < _streams.Length; part++)
            {
                RunBlock(recorder, block, part);
            }

            if (isVisited)
            {
                visit(block, recorder);
            }
        }
    }

    /// <summary>The patch embedding as a product of patches [I,P,3*p*p] and weights [1,C,3*p*p], once the blocks are visited.</summary>
    public RecordedProduct Patches()
    {
        var plain = _tower.Patches;
        var size = (plain.Weight.shape[2], plain.Weight.shape[3]);
        List<Tensor> rows = [], outputs = [], gradients = [];
        foreach (var (part, images) in _images.Batches(_options.BackwardBatch).Index())
        {
            using var scope = torch.NewDisposeScope();
            using var mode = torch.set_grad_enabled(NeedsGradients);
            var leaf = plain.Apply(images).detach().requires_grad_(NeedsGradients);
            Keep(rows, torch.nn.functional.unfold(images, size, stride: size));
            Keep(outputs, leaf.detach().flatten(2));
            if (NeedsGradients)
            {
                var gradient = torch.autograd.grad([_tower.Arrange(leaf).Tokens], [leaf], [_gradients[part]])[0];
                Keep(gradients, gradient.flatten(2));
            }
        }

        Tensor Joined(List<Tensor> parts) => torch.cat(parts, 0).transpose(1, 2).contiguous();
        return new(
            Joined(rows),
            QuantizedLinear.Wide(plain.Weight).flatten(1).unsqueeze(0),
            plain.Bias,
            Joined(outputs),
            NeedsGradients ? Joined(gradients) : null);
    }

    /// <inheritdoc />
    public void Dispose() => _scope.Dispose();

    private static void Keep(List<Tensor> parts, Tensor part) => parts.Add(QuantizedLinear.Wide(part).MoveToOuterDisposeScope());

    private TokenBatch[][] RunForward()
    {
        using var noGradient = torch.no_grad();
        return [.. _images.Batches(_options.BackwardBatch).Select(images =>
        {
            var stream = new TokenBatch[_tower.Blocks.Count + 1];
            stream[0] = _tower.Embed(images);
            for (var block = 0; block < _tower.Blocks.Count; block++)
            {
                stream[block + 1] = TransformerBlock.Forward(stream[block], block, _tower.Blocks[block], _plan.Blocks[block]);
            }

            return stream;
        })];
    }

    private Tensor LossGradient(LogitLoss loss, TokenBatch output)
    {
        using var scope = torch.NewDisposeScope();
        using var withGradient = torch.enable_grad();
        var leaf = output.Tokens.detach().requires_grad_();
        var features = _tower.Project(output with { Tokens = leaf });
        return torch.autograd.grad([loss.Of(features)], [leaf])[0].MoveToOuterDisposeScope();
    }

    // Runs a mini-batch through a block and replaces the gradient at its output by the one at its input.
    private void RunBlock(BlockRecorder recorder, int block, int part)
    {
        using var scope = torch.NewDisposeScope();
        using var mode = torch.set_grad_enabled(NeedsGradients);
        var input = _streams[part][block];
        var leaf = input.Tokens.detach().requires_grad_(NeedsGradients);
        var output = TransformerBlock.Forward(
            input with { Tokens = leaf }, block, recorder.Observe(_tower.Blocks[block]), _plan.Blocks[block]);
        if (!NeedsGradients)
        {
            recorder.Close([]);
            return;
        }

        var found = torch.autograd.grad([output.Tokens], [leaf, .. recorder.Outputs], [_gradients[part]]);
        _gradients[part].Dispose();
        _gradients[part] = found[0].MoveToOtherDisposeScope(_scope);
        recorder.Close([.. found.Skip(1)]);
    }
}

/// <summary>The loss whose gradient weights output errors (docs/methods/quantizers.md, "Hessian-guided search").</summary>
public enum HessianLoss
{
    /// <summary>Cross-entropy of the logits against the float model's own predictions.</summary>
    PseudoLabel,

    /// <summary>
    /// Divergence of the float model's probabilities from themselves, as in the released code. Its exact gradient is zero;
    /// what remains is rounding noise, which differs between devices and batch sizes.
    /// </summary>
    Kl,
}

/// <summary>The loss of the calibration images, mean over a mini-batch.</summary>
/// <param name="classifier">Turns features into class scores.</param>
/// <param name="options">Which loss, at which temperature.</param>
internal sealed class LogitLoss(ZeroShotClassifier classifier, Ptq4VitOptions options)
{
    /// <summary>The loss of features [B,E] that are not normalised.</summary>
    public Tensor Of(Tensor features)
    {
        var logits = classifier.Logits(ZeroShotClassifier.Normalize(features)) / options.Temperature;
        switch (options.Loss)
        {
            case HessianLoss.PseudoLabel:
                return torch.nn.functional.cross_entropy(logits, logits.detach().argmax(-1));
            case HessianLoss.Kl:
                var (own, current) = (logits.detach().log_softmax(-1), logits.log_softmax(-1));
                return (own.exp() * (own - current)).sum() / logits.shape[0];
            default:
                throw new UnreachableException();
        }
    }
}
