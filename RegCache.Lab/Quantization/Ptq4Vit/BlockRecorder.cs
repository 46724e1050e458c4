using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// Runs a block in float and keeps what its matrix products took and gave: one part for every mini-batch, joined by
/// <see cref="Linear"/> and <see cref="Product"/>.
/// </summary>
/// <param name="keeps">
/// Whether it keeps anything: a block that another process records runs through the same operators, so that its gradient is the same bits.
/// </param>
internal sealed class BlockRecorder(bool keeps = true) : IDisposable
{
    private readonly Dictionary<string, List<Tensor>> _parts = [];
    private readonly List<(string Name, Tensor Output)> _open = [];

    /// <summary>The outputs of the mini-batch that has just run, for their gradients.</summary>
    public IReadOnlyList<Tensor> Outputs => [.. _open.Select(part => part.Output)];

    /// <summary>The block's layers, observed.</summary>
    public BlockLayers Observe(BlockLayers plain)
    {
        var layers = LinearKinds.All.Aggregate(
            plain, (current, kind) => current.With(kind, linear => new ObservedLinear(this, kind.Name(), linear)));
        return layers with { Attention = new ObservedAttention(this) };
    }

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
        if (!keeps)
        {
            return;
        }

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
        if (!keeps)
        {
            return output;
        }

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
