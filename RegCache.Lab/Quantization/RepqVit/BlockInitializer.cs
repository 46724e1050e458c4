using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.RepqVit;

/// <summary>
/// The layers of one block while RepQ-ViT calibrates it: each takes its ranges from what it sees first and goes on
/// quantized, so that later layers see the stream that they will see.
/// </summary>
/// <param name="block">The block's index.</param>
/// <param name="bits">Bit-widths.</param>
/// <param name="weightGrid">The grid of a layer's own weights, which no calibration changes.</param>
internal sealed class BlockInitializer(
    int block, QuantizationBits bits, Func<LinearKind, Tensor, UniformQuantizer> weightGrid)
{
    private readonly Dictionary<LinearKind, (UniformQuantizer Input, UniformQuantizer Weight, ILinear Plain)> _linears = [];
    private AttentionProducts? _attention;

    /// <summary>The grids of the linear layers as first taken; those behind a LayerNorm are per channel.</summary>
    public IReadOnlyDictionary<LinearKind, (UniformQuantizer Input, UniformQuantizer Weight, ILinear Plain)> Linears => _linears;

    /// <summary>The quantizers of the attention products.</summary>
    public AttentionProducts Attention => _attention!;

    /// <summary>The block's layers, taking their ranges from the first call.</summary>
    public BlockLayers Observe(BlockLayers plain) => LinearKinds.All.Aggregate(
        plain, (layers, kind) => layers.With(kind, linear => new InitialLinear(this, kind, linear))) with
    {
        Attention = new InitialAttention(this),
    };

    /// <summary>The calibrated block: LayerNorm outputs are reparameterised to one grid each, and the weights behind them get new grids.</summary>
    public CalibratedBlock Finish() => new(
        _linears.ToDictionary(linear => linear.Key, linear => Finish(linear.Key)), _attention);

    private CalibratedLinear Finish(LinearKind kind)
    {
        var (input, weight, plain) = _linears[kind];
        if (!IsBehindNorm(kind))
        {
            return new(input, weight);
        }

        using var scope = torch.NewDisposeScope();
        var (grid, shift) = Reparameterization.Of(input);
        var moved = QuantizedLinear.Wide(shift.Apply(plain).Weight);
        return new(grid, PercentileRange.OfWeights(moved, bits.Weights)) { Shift = shift };
    }

    private static bool IsBehindNorm(LinearKind kind) => kind is LinearKind.AttentionIn or LinearKind.MlpIn;

    private sealed class InitialLinear(BlockInitializer owner, LinearKind kind, ILinear plain) : ILinear
    {
        public Tensor Weight => plain.Weight;

        public Tensor? Bias => plain.Bias;

        public bool IsRowwise => false;

        public Tensor Apply(Tensor input)
        {
            using var scope = torch.NewDisposeScope();
            var name = kind.FullName(owner.Block);
            var wide = QuantizedLinear.Wide(input);
            var grid = IsBehindNorm(kind)
                ? PercentileRange.OfChannels(wide, owner.Bits.Activations, name)
                : PercentileRange.OfTensor(wide, owner.Bits.Activations, name);
            var weight = QuantizedLinear.Wide(plain.Weight);
            var weights = owner.WeightGrid(kind, weight);
            owner._linears[kind] = (grid, weights, plain);
            return torch.nn.functional.linear(
                grid.FakeQuantize(wide).to(plain.Weight.dtype), weights.FakeQuantize(weight).to(plain.Weight.dtype), plain.Bias)
                .MoveToOuterDisposeScope();
        }
    }

    private sealed class InitialAttention(BlockInitializer owner) : IAttention
    {
        public Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe)
        {
            var name = $"visual.transformer.resblocks.{owner.Block}.attn";
            ITensorQuantizer Uniform(Tensor values, string operand) =>
                PercentileRange.OfTensor(QuantizedLinear.Wide(values), owner.Bits.Activations, $"{name} ({operand})");
            var probabilities = new FirstSeen(seen =>
                PercentileRange.OfProbabilities(seen, owner.Bits.Activations, $"{name} (probabilities)"));
            var products = new AttentionProducts(
                Uniform(query, "queries"), Uniform(key, "keys"), probabilities, Uniform(value, "values"));
            var mixed = new QuantizedAttention(products).Apply(query, key, value, extras, probe);
            owner._attention = products with { Probabilities = probabilities.Quantizer! };
            return mixed;
        }
    }

    // A quantizer that is made from the first tensor it is given.
    private sealed class FirstSeen(Func<Tensor, ITensorQuantizer> make) : ITensorQuantizer
    {
        public ITensorQuantizer? Quantizer { get; private set; }

        public Tensor FakeQuantize(Tensor values) => (Quantizer ??= make(values)).FakeQuantize(values);
    }

    private int Block => block;

    private QuantizationBits Bits => bits;

    private UniformQuantizer WeightGrid(LinearKind kind, Tensor weight) => weightGrid(kind, weight);
}

/// <summary>
/// Turns a grid for every channel into one for the tensor by moving the differences into the LayerNorm before and the
/// linear layer behind (quantizers.md, section 3.4).
/// </summary>
internal static class Reparameterization
{
    /// <summary>The grid of the tensor, with the means of scale and zero point, and what has to be moved.</summary>
    /// <param name="channels">Grids of the channels, scale [1,1,C].</param>
    public static (UniformQuantizer Grid, ScaleReparameterization Shift) Of(UniformQuantizer channels)
    {
        using var scope = torch.NewDisposeScope();
        var (scales, zeroPoints) = (channels.Scale.flatten(), channels.ZeroPoint!.flatten());
        var (scale, zeroPoint) = (scales.mean(), zeroPoints.mean());
        var ratio = scales / scale;
        var offset = (zeroPoints * scales / ratio).neg() + (zeroPoint * scale);
        Tensor Kept(Tensor tensor) => tensor.DetachFromDisposeScope();
        return (
            new(Kept(scale.view(1)), Kept(zeroPoint.view(1)), channels.Lowest, channels.Highest),
            new(Kept(ratio), Kept(offset)));
    }
}
