using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>One matrix product of the float model on the calibration images: <c>O = L R^T + b</c> for every image.</summary>
/// <param name="Left">Left operand L [I,M,n].</param>
/// <param name="Right">Right operand R, its rows are the columns of the product: [I,C,n], or [1,C,n] for weights.</param>
/// <param name="Bias">Bias b [C], or null.</param>
/// <param name="Output">The product O [I,M,C].</param>
/// <param name="Gradient">Gradient G of the loss at the output [I,M,C]; null for the cosine metric.</param>
internal sealed record RecordedProduct(Tensor Left, Tensor Right, Tensor? Bias, Tensor Output, Tensor? Gradient)
{
    public long Images => Left.shape[0];

    public bool RightIsShared => Right.shape[0] == 1 && Images != 1;

    /// <summary>The product restricted to some rows of the right operand.</summary>
    public RecordedProduct Columns(long first, long count) => new(
        Left,
        Right.narrow(1, first, count).contiguous(),
        Bias?.narrow(0, first, count),
        Output.narrow(2, first, count).contiguous(),
        Gradient?.narrow(2, first, count).contiguous());

    /// <summary>One head of a product whose tensors are [B,H,..].</summary>
    public RecordedProduct Head(long head) => Each(tensor => tensor.select(1, head).contiguous());

    /// <summary>The product of all heads, [B,H,..] seen as [B*H,..].</summary>
    public RecordedProduct AllHeads() => Each(tensor => tensor.flatten(0, 1));

    private RecordedProduct Each(Func<Tensor, Tensor> part) =>
        new(part(Left), part(Right), Bias, part(Output), Gradient is null ? null : part(Gradient));
}

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

    private bool NeedsGradients => _options.Metric == OutputMetric.Hessian;

    /// <summary>Visits all blocks, the last one first.</summary>
    public void VisitBlocks(Action<int, BlockRecorder> visit)
    {
        for (var block = _tower.Blocks.Count - 1; block >= 0; block--)
        {
            _images.Cancellation.ThrowIfCancellationRequested();
            using var scope = torch.NewDisposeScope();
            using var recorder = new BlockRecorder();
            for (var part = 0; part < _streams.Length; part++)
            {
                RunBlock(recorder, block, part);
            }

            visit(block, recorder);
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

/// <summary>
/// Runs a block in float and keeps what its matrix products took and gave: one part for every mini-batch, joined by
/// <see cref="Linear"/> and <see cref="Attention"/>.
/// </summary>
internal sealed class BlockRecorder : IDisposable
{
    private readonly Dictionary<string, List<Tensor>> _parts = [];
    private readonly List<(string Name, Tensor Output)> _open = [];

    /// <summary>The block's layers, observed.</summary>
    public BlockLayers Observe(BlockLayers plain)
    {
        var layers = LinearKinds.All.Aggregate(
            plain, (current, kind) => current.With(kind, linear => new ObservedLinear(this, kind.Name(), linear)));
        return layers with { Attention = new ObservedAttention(this) };
    }

    /// <summary>The outputs of the mini-batch that has just run, for their gradients.</summary>
    public IReadOnlyList<Tensor> Outputs => [.. _open.Select(part => part.Output)];

    /// <summary>Ends a mini-batch.</summary>
    /// <param name="gradients">One for every output, or none.</param>
    public void Close(IReadOnlyList<Tensor> gradients)
    {
        foreach (var (index, (name, output)) in _open.Index())
        {
            Keep($"{name} output", output.detach());
            output.Dispose();
            if (gradients.Count > 0)
            {
                Keep($"{name} gradient", gradients[index]);
            }
        }

        _open.Clear();
    }

    /// <summary>What was recorded of a linear layer.</summary>
    public RecordedProduct Linear(LinearKind kind, ILinear plain) =>
        Join(kind.Name(), QuantizedLinear.Wide(plain.Weight).unsqueeze(0).contiguous(), plain.Bias);

    /// <summary>What was recorded of a product of the attention, `attn.qk` or `attn.av` [B,H,..].</summary>
    public RecordedProduct Product(string name) => Join(name, Joined($"{name} right")!, null);

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var tensor in _parts.Values.SelectMany(parts => parts).Concat(Outputs))
        {
            tensor.Dispose();
        }
    }

    private RecordedProduct Join(string name, Tensor right, Tensor? bias) => new(
        Joined($"{name} left")!, right, bias, Joined($"{name} output")!, Scaled(Joined($"{name} gradient")));

    private Tensor? Joined(string name)
    {
        if (!_parts.Remove(name, out var parts))
        {
            return null;
        }

        var joined = torch.cat(parts, 0);
        parts.ForEach(part => part.Dispose());
        return joined;
    }

    // Errors compare alike at any scale of the gradient; a power of two is exact and keeps small squares above zero.
    private static Tensor? Scaled(Tensor? gradient)
    {
        if (gradient is null)
        {
            return null;
        }

        using var scope = torch.NewDisposeScope();
        var largest = gradient.abs().max().item<float>();
        if (largest > 0 && float.IsFinite(largest))
        {
            gradient.mul_(MathF.ScaleB(1, -Math.ILogB(largest)));
        }

        return gradient;
    }

    private void Keep(string name, Tensor part)
    {
        if (!_parts.TryGetValue(name, out var parts))
        {
            _parts[name] = parts = [];
        }

        parts.Add(QuantizedLinear.Wide(part).contiguous().DetachFromDisposeScope());
    }

    // Without gradients the block adds to the output in place. With them the graph goes on from an alias, because the
    // block disposes what it is given and the gradient at this output is still to be asked for.
    private Tensor Passed(string name, Tensor output)
    {
        var passed = torch.is_grad_enabled() ? output.alias() : output.clone();
        _open.Add((name, output.DetachFromDisposeScope()));
        return passed;
    }

    private sealed class ObservedLinear(BlockRecorder recorder, string name, ILinear plain) : ILinear
    {
        public Tensor Weight => plain.Weight;

        public Tensor? Bias => plain.Bias;

        public bool IsRowwise => plain.IsRowwise;

        public Tensor Apply(Tensor input)
        {
            recorder.Keep($"{name} left", input.detach());
            return recorder.Passed(name, plain.Apply(input));
        }
    }

    private sealed class ObservedAttention(BlockRecorder recorder) : IAttention
    {
        public Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe)
        {
            var keys = Attention.Prepend(extras.PrefixKeys, key);
            var values = Attention.Prepend(extras.PrefixValues, value);
            var products = Product("attn.qk", query, keys);
            var logits = products * (1 / Math.Sqrt(query.shape[^1]));
            if (extras.Bias is { } bias)
            {
                logits = logits + Attention.PadColumns(bias, extras.PrefixKeys);
            }

            return Product("attn.av", logits.softmax(-1), values.transpose(-2, -1));
        }

        private Tensor Product(string name, Tensor left, Tensor right)
        {
            recorder.Keep($"{name} left", left.detach());
            recorder.Keep($"{name} right", right.detach());
            return recorder.Passed(name, left.matmul(right.transpose(-2, -1)));
        }
    }
}
