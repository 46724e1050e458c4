using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// PTQ4ViT and BasePTQ (quantizers.md, section 2): every layer sees float inputs and is searched on its own. Blocks are
/// visited from the last to the first: each runs again from its stored input, hands the gradient on to the block before,
/// and is searched at once, so that the recordings of one block are in memory at a time.
/// </summary>
public sealed class Ptq4VitCalibration : ICalibration
{
    private const int RowGroupsOfAttentionIn = 3;

    private readonly VisionTower _tower;
    private readonly ZeroShotClassifier _classifier;
    private readonly CalibrationImages _images;
    private readonly Ptq4VitOptions _options;
    private readonly LayerSearch _search;

    /// <summary>Prepares calibrations.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="classifier">Turns features into the logits of the loss.</param>
    /// <param name="images">The calibration images.</param>
    /// <param name="options">Bits and search.</param>
    /// <exception cref="UserException">The options are out of range.</exception>
    public Ptq4VitCalibration(
        VisionTower tower, ZeroShotClassifier classifier, CalibrationImages images, Ptq4VitOptions options)
    {
        options.Validate();
        (_tower, _classifier, _images, _options) = (tower, classifier, images, options);
        _search = new(options, images.Memory);
    }

    /// <inheritdoc />
    public Recalibration Recalibration => Recalibration.TwoPass;

    private bool NeedsGradients => _options.Metric == OutputMetric.Hessian;

    /// <inheritdoc />
    /// <exception cref="UserException">An activation is not finite, or the loss has no gradient.</exception>
    public IQuantizer Calibrate(EncoderPlan plan)
    {
        using var scope = torch.NewDisposeScope();
        using var progress = _images.Progress.Start($"calibrating {_options.Bits}", _tower.Blocks.Count + 1, "layers");
        var streams = RunForward(plan);
        var gradients = NeedsGradients ? streams.Select(stream => LossGradient(stream[^1])).ToArray() : [];
        var blocks = new CalibratedBlock[_tower.Blocks.Count];
        for (var block = blocks.Length - 1; block >= 0; block--)
        {
            _images.Cancellation.ThrowIfCancellationRequested();
            using var lifetime = torch.NewDisposeScope();
            using var recorder = new BlockRecorder();
            foreach (var (part, stream) in streams.Index())
            {
                RunBlock(recorder, block, plan.Blocks[block], stream[block], gradients, part);
            }

            blocks[block] = SearchBlock(recorder, block, plan.Blocks[block]);
            progress.Report(blocks.Length - block);
        }

        var patches = SearchPatches(gradients);
        progress.Report(blocks.Length + 1);
        return new CalibratedQuantizer(ToString(), patches, blocks);
    }

    /// <inheritdoc />
    public override string ToString() => $"{_options}, {_images}";

    // For every mini-batch the stream that enters each block, and that leaves the last.
    private TokenBatch[][] RunForward(EncoderPlan plan)
    {
        using var noGradient = torch.no_grad();
        return [.. _images.Batches(_options.BackwardBatch).Select(images =>
        {
            var stream = new TokenBatch[_tower.Blocks.Count + 1];
            stream[0] = _tower.Embed(images);
            for (var block = 0; block < _tower.Blocks.Count; block++)
            {
                stream[block + 1] = TransformerBlock.Forward(stream[block], block, _tower.Blocks[block], plan.Blocks[block]);
            }

            return stream;
        })];
    }

    private Tensor LossGradient(TokenBatch output)
    {
        using var scope = torch.NewDisposeScope();
        using var withGradient = torch.enable_grad();
        var leaf = output.Tokens.detach().requires_grad_();
        var loss = new LogitLoss(_classifier, _options).Of(_tower.Project(output with { Tokens = leaf }));
        return torch.autograd.grad([loss], [leaf])[0].MoveToOuterDisposeScope();
    }

    // Runs a mini-batch through a block and replaces the gradient at its output by the one at its input.
    private void RunBlock(
        BlockRecorder recorder, int block, BlockPlan plan, TokenBatch input, Tensor[] gradients, int part)
    {
        using var scope = torch.NewDisposeScope();
        using var mode = torch.set_grad_enabled(NeedsGradients);
        var leaf = input.Tokens.detach().requires_grad_(NeedsGradients);
        var output = TransformerBlock.Forward(
            input with { Tokens = leaf }, block, recorder.Observe(_tower.Blocks[block]), plan);
        if (!NeedsGradients)
        {
            recorder.Close([]);
            return;
        }

        var found = torch.autograd.grad([output.Tokens], [leaf, .. recorder.Outputs], [gradients[part]]);
        gradients[part].Dispose();
        gradients[part] = found[0].MoveToOuterDisposeScope().MoveToOuterDisposeScope();
        recorder.Close([.. found.Skip(1)]);
    }

    private CalibratedBlock SearchBlock(BlockRecorder recorder, int block, BlockPlan plan)
    {
        var linears = new Dictionary<LinearKind, CalibratedLinear>();
        foreach (var kind in LinearKinds.All)
        {
            if (Layer(_tower.Blocks[block], kind) is { } linear)
            {
                using var scope = torch.NewDisposeScope();
                linears[kind] = SearchLinear(recorder.Linear(kind, linear), kind, kind.FullName(block));
            }
        }

        return new(linears, SearchAttention(recorder, block, plan.Prefix is null ? 0 : plan.PrefixCount));
    }

    private CalibratedLinear SearchLinear(RecordedProduct product, LinearKind kind, string name)
    {
        RequireGradient(product, name);
        var groups = kind == LinearKind.AttentionIn ? RowGroupsOfAttentionIn : 1;
        var scales = _search.Linear(product, groups, kind == LinearKind.MlpOut && _options.PostGeluTwin, name);
        var rows = (int)product.Right.shape[1];
        float[] rowScales = [.. Enumerable.Range(0, rows).Select(row => scales.RightScales[row * groups / rows])];
        var weight = SearchRange.Grid(rowScales, _options.Bits.Weights, product.Left.device, rows, 1);
        return new(Kept(scales.Left), Kept(weight));
    }

    private AttentionProducts SearchAttention(BlockRecorder recorder, int block, long prefix)
    {
        using var scope = torch.NewDisposeScope();
        var layer = $"visual.transformer.resblocks.{block}";
        var (queries, keys) = SearchHeads(recorder.Product("attn.qk"), (1, prefix), null, $"{layer}.attn.qk");
        var mixing = recorder.Product("attn.av");
        ITensorQuantizer? split = _options.SoftmaxTwin is { } form
            ? _search.Split(mixing.AllHeads(), form, $"{layer}.attn.av")
            : null;
        var (probabilities, values) = SearchHeads(mixing, (2, prefix), split, $"{layer}.attn.av");
        return new(Kept(queries), Kept(keys), Kept(probabilities), Kept(values));
    }

    private (ITensorQuantizer Left, ITensorQuantizer Right) SearchHeads(
        RecordedProduct product, (int Axis, long Count) prefix, ITensorQuantizer? left, string name)
    {
        RequireGradient(product, name);
        var heads = (int)product.Left.shape[1];
        var found = Enumerable.Range(0, heads).Select(head =>
        {
            using var scope = torch.NewDisposeScope();
            return _search.Head(product.Head(head), prefix, left, name);
        }).ToArray();
        UniformGrid Grid(IEnumerable<float> scales) => SearchRange.Grid(
            [.. scales], _options.Bits.Activations, product.Left.device, heads, 1, 1);
        return (left ?? Grid(found.Select(head => head.LeftScale)), Grid(found.Select(head => head.RightScale)));
    }

    private CalibratedPatches SearchPatches(Tensor[] gradients)
    {
        using var scope = torch.NewDisposeScope();
        var plain = _tower.Patches;
        var outputs = new List<Tensor>();
        var weights = new List<Tensor>();
        var rows = new List<Tensor>();
        long[] kernel = [plain.Weight.shape[2], plain.Weight.shape[3]];
        foreach (var (part, images) in _images.Batches(_options.BackwardBatch).Index())
        {
            Tensor output;
            using (torch.no_grad())
            {
                output = plain.Apply(images);
                rows.Add(Patches(images, kernel));
                outputs.Add(output.flatten(2).transpose(1, 2));
            }

            if (NeedsGradients)
            {
                using var withGradient = torch.enable_grad();
                var leaf = output.detach().requires_grad_();
                var stream = _tower.Arrange(leaf);
                var gradient = torch.autograd.grad([stream.Tokens], [leaf], [gradients[part]])[0];
                weights.Add(gradient.flatten(2).transpose(1, 2));
            }
        }

        Tensor Joined(List<Tensor> parts) => QuantizedLinear.Wide(torch.cat(parts, 0)).contiguous();
        var product = new RecordedProduct(
            Joined(rows),
            QuantizedLinear.Wide(plain.Weight).flatten(1).unsqueeze(0).contiguous(),
            plain.Bias,
            Joined(outputs),
            NeedsGradients ? Joined(weights) : null);
        RequireGradient(product, "visual.conv1");
        var (_, scales) = _search.Patches(product, "visual.conv1");
        return new(null, Kept(SearchRange.Grid(scales, _options.Bits.Weights, plain.Weight.device, scales.Length, 1, 1, 1)));
    }

    // Each patch as a row: [B,3,H,W] to [B,P,3*p*p], in the order of the weights.
    private static Tensor Patches(Tensor images, long[] kernel) =>
        torch.nn.functional.unfold(images, (kernel[0], kernel[1]), stride: (kernel[0], kernel[1])).transpose(1, 2);

    private void RequireGradient(RecordedProduct product, string name)
    {
        if (product.Gradient is not { } gradient)
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var largest = gradient.abs().max();
        FiniteCheck.Require(largest, gradient, name);
        if (largest.item<float>() == 0)
        {
            throw new UserException(
                $"The loss has no gradient at {name}, so the Hessian metric cannot tell its scales apart; use --hessian-loss pseudo-label with a larger --hessian-temperature (now {_options.Temperature}).");
        }
    }

    private static ILinear? Layer(BlockLayers layers, LinearKind kind) => (kind, layers.Mlp) switch
    {
        (LinearKind.AttentionIn, _) => layers.AttentionIn,
        (LinearKind.AttentionOut, _) => layers.AttentionOut,
        (LinearKind.MlpIn, FeedForward mlp) => mlp.In,
        (LinearKind.MlpOut, FeedForward mlp) => mlp.Out,
        _ => null,
    };

    // What is found outlives every scope of the calibration.
    private static T Kept<T>(T quantizer)
        where T : ITensorQuantizer
    {
        if (quantizer is UniformGrid grid)
        {
            grid.Scale.DetachFromDisposeScope();
            grid.ZeroPoint?.DetachFromDisposeScope();
        }

        return quantizer;
    }
}
