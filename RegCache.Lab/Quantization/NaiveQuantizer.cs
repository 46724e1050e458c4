using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>
/// The naive baseline: round to nearest with min-max ranges, symmetric, activations per tensor and dynamic, weights
/// static, on the four linear layers of every block (quantizers.md, section 1). Attention products stay float.
/// </summary>
/// <param name="Bits">Bit-widths of weights and activations.</param>
public sealed record NaiveQuantizer(QuantizationBits Bits) : IQuantizer, ICalibrator
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
    public Recalibration Recalibration => Recalibration.Never;

    /// <summary>Dynamic ranges need no calibration: the quantizer itself.</summary>
    public IQuantizer Calibrate(EncoderPlan plan) => this;

    /// <inheritdoc />
    public BlockLayers Apply(int block, BlockLayers plain) => Layers.Aggregate(
        plain, (layers, kind) => layers.With(kind, linear => Quantize(linear, kind.FullName(block))));

    /// <inheritdoc />
    public ILayerTransform Only(LinearKind layer) => this with { Layers = [layer] };

    /// <inheritdoc />
    public (ITensorQuantizer Quantizer, ScaleReparameterization? Shift)? InputOf(int block, LinearKind layer) =>
        Layers.Contains(layer) ? (new DynamicInput(this, layer.FullName(block)), null) : null;

    /// <summary>The fake-quantized form of one linear layer.</summary>
    /// <param name="linear">The float layer.</param>
    /// <param name="name">The layer's name, for messages.</param>
    public ILinear Quantize(ILinear linear, string name)
    {
        using var scope = torch.NewDisposeScope();
        var weight = QuantizedLinear.Wide(linear.Weight);
        var grid = MinMaxRange.Symmetric(weight, Bits.Weights, Granularity);
        var quantized = grid.FakeQuantize(weight).to(linear.Weight.dtype);
        grid.MoveToOuterDisposeScope();
        return new QuantizedLinear(
            new Linear(quantized.MoveToOuterDisposeScope(), linear.Bias), grid, new DynamicInput(this, name), Scope == ActivationScope.Token);
    }

    /// <summary>The grid of one activation [B,..], from its own range.</summary>
    public UniformQuantizer ActivationGrid(Tensor values) => AsymmetricActivations
        ? MinMaxRange.Asymmetric(values, Bits.Activations, Scope)
        : MinMaxRange.Symmetric(values, Bits.Activations, Scope);
}

/// <summary>Quantizes an activation on a grid that is taken from its own range.</summary>
/// <param name="Quantizer">Bits, scope and symmetry.</param>
/// <param name="Layer">The layer whose input it is, for messages.</param>
internal sealed record DynamicInput(NaiveQuantizer Quantizer, string Layer) : ITensorQuantizer
{
    public Tensor FakeQuantize(Tensor values)
    {
        using var scope = torch.NewDisposeScope();
        var grid = Quantizer.ActivationGrid(values);
        FiniteCheck.Require(grid.Scale, values, Layer);
        return grid.FakeQuantize(values).MoveToOuterDisposeScope();
    }
}
