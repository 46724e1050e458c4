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

    /// <summary>The calibrated block: LayerNorm outputs are reparameterized to one grid each, and the weights behind them get new grids.</summary>
    public CalibratedBlock Finish() => new(
        _linears.ToDictionary(linear => linear.Key, linear => TensorScope.Keep(Finish(linear.Key))), _attention);

    private CalibratedLinear Finish(LinearKind kind)
    {
        var (input, weight, plain) = _linears[kind];
        return !IsBehindNorm(kind) ? new(input, weight) : TensorScope.Run(() =>
        {
            var (grid, reparameterization) = ScaleReparameterization.Of(input);
            var moved = QuantizedLinear.Wide(reparameterization.Apply(plain).Weight);
            return new CalibratedLinear(grid, PercentileRange.OfWeights(moved, bits.Weights)) { Reparameterization = reparameterization };
        });
    }

    private static bool IsBehindNorm(LinearKind kind) => kind is LinearKind.AttentionIn or LinearKind.MlpIn;

    // Takes the grids of a layer from what it sees first; returns the input and the weights on them.
    private (Tensor Input, Tensor Weight) InitializeLinear(LinearKind kind, ILinear plain, Tensor input)
    {
        var name = kind.FullName(block);
        var grid = TensorScope.Keep(IsBehindNorm(kind)
            ? PercentileRange.OfChannels(input, bits.Activations, name)
            : PercentileRange.OfTensor(input, bits.Activations, name));
        var weight = QuantizedLinear.Wide(plain.Weight);
        var weights = weightGrid(kind, weight);
        _linears[kind] = (grid, weights, plain);
        return (grid.FakeQuantize(input), weights.FakeQuantize(weight));
    }

    // Takes the quantizers of the products from what they see first: that of the probabilities once the others have made them.
    private Tensor InitializeAttention(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe)
    {
        var name = $"visual.transformer.resblocks.{block}.attn";
        ITensorQuantizer Uniform(Tensor values, string operand) => TensorScope.Keep(
            PercentileRange.OfTensor(QuantizedLinear.Wide(values), bits.Activations, $"{name} ({operand})"));
        var probabilities = new FirstSeen(seen =>
            PercentileRange.OfProbabilities(seen, bits.Activations, $"{name} (probabilities)"));
        var products = new AttentionProducts(
            Uniform(query, "queries"), Uniform(key, "keys"), probabilities, Uniform(value, "values"));
        var context = new QuantizedAttention(products).Apply(query, key, value, extras, probe);
        _attention = products with { Probabilities = probabilities.Quantizer! };
        return context;
    }

    private sealed class InitialLinear(BlockInitializer owner, LinearKind kind, ILinear plain) : ILinear
    {
        public Tensor Weight => plain.Weight;

        public Tensor? Bias => plain.Bias;

        public bool IsRowwise => false;

        public Tensor Apply(Tensor input) => TensorScope.Run(() =>
        {
            var (quantized, weight) = owner.InitializeLinear(kind, plain, QuantizedLinear.Wide(input));
            return torch.nn.functional.linear(quantized.to(plain.Weight.dtype), weight.to(plain.Weight.dtype), plain.Bias);
        });
    }

    private sealed class InitialAttention(BlockInitializer owner) : IAttention
    {
        public Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe) =>
            owner.InitializeAttention(query, key, value, extras, probe);
    }

    // A quantizer that is made from the first tensor it is given.
    private sealed class FirstSeen(Func<Tensor, ITensorQuantizer> make) : ITensorQuantizer
    {
        public ITensorQuantizer? Quantizer { get; private set; }

        public Tensor FakeQuantize(Tensor values) => (Quantizer ??= make(values)).FakeQuantize(values);
    }
}
