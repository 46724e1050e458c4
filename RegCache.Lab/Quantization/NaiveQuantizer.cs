using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>
/// The naive baseline: round to nearest with min-max ranges on the four linear layers of every block, activations per tensor
/// and dynamic, weights static. Attention products stay float (docs/methods/quantizers.md, "Naive").
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
    public (ITensorQuantizer Quantizer, ScaleReparameterization? Reparameterization)? InputOf(int block, LinearKind layer) =>
        Layers.Contains(layer) ? (new DynamicInput(this, layer.FullName(block)), null) : null;

    /// <summary>The fake-quantized form of one linear layer.</summary>
    /// <param name="linear">The float layer.</param>
    /// <param name="name">The layer's name, for messages.</param>
    public ILinear Quantize(ILinear linear, string name)
    {
        var (weight, grid) = TensorScope.Run(() =>
        {
            var wide = QuantizedLinear.Wide(linear.Weight);
            var grid = MinMaxRange.Symmetric(wide, Bits.Weights, Granularity);
            return (grid.FakeQuantize(wide).to(linear.Weight.dtype), grid);
        });
        return new QuantizedLinear(new Linear(weight, linear.Bias), grid, new DynamicInput(this, name), Scope == ActivationScope.Token);
    }

    /// <summary>The grid of one activation [B,..], from its own range.</summary>
    public UniformQuantizer ActivationGrid(Tensor values) => AsymmetricActivations
        ? MinMaxRange.Asymmetric(values, Bits.Activations, Scope)
        : MinMaxRange.Symmetric(values, Bits.Activations, Scope);

    /// <inheritdoc />
    public override string ToString()
    {
        var activations = AsymmetricActivations ? "asymmetric" : "symmetric";
        var layers = string.Join(' ', Layers.Select(layer => layer.Name()));
        return $"{NaiveFamily.Name} {Bits}, {activations} activations by {Scope}, weights by {Granularity}, layers {layers}";
    }
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

/// <summary>The naive quantizer among the <see cref="QuantizerFamilies"/>, with its options.</summary>
public static class NaiveFamily
{
    /// <summary>Its name.</summary>
    public const string Name = "naive";

    /// <summary>The option for <see cref="NaiveQuantizer.Scope"/>.</summary>
    public static MethodOption<ActivationScope> Scope { get; } = MethodOption.Choice(
        "--scope",
        "Over what a dynamic activation range is taken.",
        "batch",
        ("batch", ActivationScope.Batch),
        ("image", ActivationScope.Image),
        ("token", ActivationScope.Token));

    /// <summary>The option for <see cref="NaiveQuantizer.Granularity"/>.</summary>
    public static MethodOption<WeightGranularity> Granularity { get; } = MethodOption.Choice(
        "--weight-granularity",
        "Over what a weight scale is taken.",
        "row",
        ("row", WeightGranularity.Row),
        ("tensor", WeightGranularity.Tensor));

    /// <summary>The option for <see cref="NaiveQuantizer.AsymmetricActivations"/>.</summary>
    public static MethodOption<bool> AsymmetricActivations { get; } = MethodOption.Choice(
        "--activation-range",
        "Grid of the activations.",
        "symmetric",
        ("symmetric", false),
        ("asymmetric", true));

    /// <summary>Whether <see cref="StaticRangeCalibrator"/> takes the activation ranges.</summary>
    public static MethodOption<bool> StaticActivations { get; } = MethodOption.Choice(
        "--act-mode",
        "Where activation ranges come from: every batch, or the calibration images.",
        "dynamic",
        ("dynamic", false),
        ("static", true));

    /// <summary>The family.</summary>
    public static QuantizerFamily Entry { get; } = new(
        Name,
        "Naive: round to nearest between minimum and maximum.",
        [Scope, Granularity, AsymmetricActivations, StaticActivations, CalibrationImages.CountOption],
        Create);

    private static ICalibrator Create(CalibrationRequest request)
    {
        var quantizer = new NaiveQuantizer(request.Bits)
        {
            Scope = request.Values.Get(Scope),
            Granularity = request.Values.Get(Granularity),
            AsymmetricActivations = request.Values.Get(AsymmetricActivations),
        };
        return request.Values.Get(StaticActivations)
            ? new StaticRangeCalibrator(request.Tower, request.Images(), quantizer, request.BatchSize)
            : quantizer;
    }
}
