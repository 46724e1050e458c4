using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>
/// The naive baseline: round to nearest with min-max ranges, symmetric, activations per tensor and dynamic, weights
/// static, on the four linear layers of every block (quantizers.md, section 1). Attention products stay float.
/// </summary>
/// <param name="Bits">Bit-widths of weights and activations.</param>
public sealed record NaiveQuantizer(QuantizationBits Bits) : IQuantizer
{
    /// <summary>Over which elements an activation's range is taken.</summary>
    public ActivationScope Scope { get; init; } = ActivationScope.Batch;

    /// <summary>Over which elements a weight's scale is taken.</summary>
    public WeightGranularity Granularity { get; init; } = WeightGranularity.Row;

    /// <summary>Whether activations use an unsigned grid from minimum to maximum instead of a symmetric one.</summary>
    public bool AsymmetricActivations { get; init; }

    /// <summary>The layers that are quantized.</summary>
    public ValueList<LinearKind> Layers { get; init; } = LinearKinds.All;

    /// <inheritdoc />
    public BlockLayers Apply(int block, BlockLayers plain) =>
        Layers.Aggregate(plain, (layers, kind) => layers.With(kind, Quantize));

    /// <inheritdoc />
    public ILayerScheme Only(LinearKind layer) => this with { Layers = [layer] };

    /// <summary>The fake-quantized form of one linear layer.</summary>
    public ILinear Quantize(ILinear linear)
    {
        var grid = MinMaxRange.Symmetric(linear.Weight, Bits.Weights, Granularity);
        return new NaiveLinear(grid.FakeQuantize(linear.Weight), linear.Bias, this);
    }

    /// <summary>The grid of one activation, from its own range.</summary>
    public UniformGrid ActivationGrid(Tensor values) => AsymmetricActivations
        ? MinMaxRange.Asymmetric(values, Bits.Activations, Scope)
        : MinMaxRange.Symmetric(values, Bits.Activations, Scope);

    private sealed record NaiveLinear(Tensor Weight, Tensor? Bias, NaiveQuantizer Quantizer) : ILinear
    {
        public bool IsRowwise => Quantizer.Scope == ActivationScope.Token;

        public Tensor Apply(Tensor input)
        {
            using var scope = torch.NewDisposeScope();
            var quantized = Quantizer.ActivationGrid(input).FakeQuantize(input);
            return torch.nn.functional.linear(quantized, Weight, Bias).MoveToOuterDisposeScope();
        }
    }
}
