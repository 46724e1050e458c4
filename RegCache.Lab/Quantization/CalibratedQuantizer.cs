using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>A quantizer with calibrated ranges: everything that a calibration found. Compares by identity.</summary>
/// <param name="method">The family and its settings, for reports.</param>
/// <param name="patches">The patch embedding; null leaves it float.</param>
/// <param name="blocks">The blocks, in order.</param>
public sealed class CalibratedQuantizer(string method, CalibratedPatches? patches, IReadOnlyList<CalibratedBlock> blocks) : IQuantizer
{
    /// <summary>The family and its settings, for reports.</summary>
    public string Method { get; } = method;

    /// <summary>The patch embedding; null leaves it float.</summary>
    public CalibratedPatches? Patches { get; } = patches;

    /// <summary>The blocks, in order.</summary>
    public IReadOnlyList<CalibratedBlock> Blocks { get; } = blocks;

    /// <inheritdoc />
    public BlockLayers Apply(int block, BlockLayers plain) => Blocks[block].Apply(block, plain);

    /// <inheritdoc />
    public PatchEmbedding Apply(PatchEmbedding plain) => Patches?.Apply(plain) ?? plain;

    /// <inheritdoc />
    public ILayerTransform Only(LinearKind layer) => new CalibratedQuantizer(
        $"{Method}, {layer.Name()} alone", null, [.. Blocks.Select(block => block.Only(layer))]);

    /// <inheritdoc />
    public (ITensorQuantizer Quantizer, ScaleReparameterization? Reparameterization)? InputOf(int block, LinearKind layer) =>
        Blocks[block].Linears.TryGetValue(layer, out var linear) ? (linear.Input, linear.Reparameterization) : null;

    /// <inheritdoc />
    public EncoderPlan ApplyTo(EncoderPlan plan) => plan with
    {
        Embedding = Patches,
        Blocks = [.. plan.Blocks.Select((block, index) => block with { Transform = Blocks[index] })],
    };

    /// <inheritdoc />
    public override string ToString() => Method;
}

/// <summary>
/// The calibrated quantizers of one block. Compares by identity: plans that share the calibration of a block share its
/// computation.
/// </summary>
/// <param name="linears">The quantizers of the linear layers that are quantized.</param>
/// <param name="attention">The quantizers of the attention products; null leaves them float.</param>
public sealed class CalibratedBlock(
    IReadOnlyDictionary<LinearKind, CalibratedLinear> linears, AttentionProducts? attention) : ILayerTransform
{
    /// <summary>The quantizers of the linear layers that are quantized.</summary>
    public IReadOnlyDictionary<LinearKind, CalibratedLinear> Linears { get; } = linears;

    /// <summary>The quantizers of the attention products; null leaves them float.</summary>
    public AttentionProducts? Attention { get; } = attention;

    /// <inheritdoc />
    public BlockLayers Apply(int block, BlockLayers plain)
    {
        var layers = Linears.Aggregate(plain, (current, linear) => current.With(linear.Key, linear.Value.Quantize));
        if (Attention is not null)
        {
            layers = layers with { Attention = new QuantizedAttention(Attention) };
        }

        return layers with
        {
            AttentionNorm = Before(LinearKind.AttentionIn, layers.AttentionNorm),
            MlpNorm = Before(LinearKind.MlpIn, layers.MlpNorm),
            Mlp = Linears.GetValueOrDefault(LinearKind.MlpIn)?.Reparameterization is { } moved ? layers.Mlp.Behind(moved.Undo) : layers.Mlp,
        };
    }

    /// <summary>The block with one linear layer quantized and everything else in float.</summary>
    public CalibratedBlock Only(LinearKind kind) => new(
        Linears.Where(linear => linear.Key == kind).ToDictionary(linear => linear.Key, linear => linear.Value), null);

    // The LayerNorm before a linear layer, which may have handed something over to it.
    private LayerNorm Before(LinearKind kind, LayerNorm norm) =>
        Linears.GetValueOrDefault(kind)?.Reparameterization?.Apply(norm) ?? norm;
}

/// <summary>The calibrated quantizers of one linear layer.</summary>
/// <param name="Input">Quantizer of the input activation.</param>
/// <param name="Weight">Grid of the weights, after the reparameterization if there is one.</param>
public sealed record CalibratedLinear(ITensorQuantizer Input, UniformQuantizer Weight) : ITensorHolder
{
    /// <summary>What the LayerNorm before the layer has handed over to it; null for nothing.</summary>
    public ScaleReparameterization? Reparameterization { get; init; }

    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => TensorScope.TensorsOf((Input, Weight, Reparameterization));

    /// <summary>The layer with its quantizers in place.</summary>
    internal ILinear Quantize(ILinear plain)
    {
        var (weight, bias) = TensorScope.Run(() =>
        {
            var moved = Reparameterization?.Apply(plain) ?? plain;
            return (Weight.FakeQuantize(QuantizedLinear.Wide(moved.Weight)).to(moved.Weight.dtype), moved.Bias);
        });
        return new QuantizedLinear(new Linear(weight, bias), Weight, Input, IsRowwise: true);
    }
}

/// <summary>The calibrated quantizers of the patch embedding. Compares by identity.</summary>
/// <param name="input">Quantizer of the images; null leaves them float.</param>
/// <param name="weight">Grid of the weights [C,3,p,p].</param>
public sealed class CalibratedPatches(ITensorQuantizer? input, UniformQuantizer weight) : ILayerTransform, ITensorHolder
{
    /// <summary>Quantizer of the images; null leaves them float.</summary>
    public ITensorQuantizer? Input { get; } = input;

    /// <summary>Grid of the weights [C,3,p,p].</summary>
    public UniformQuantizer Weight { get; } = weight;

    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => TensorScope.TensorsOf((Input, Weight));

    /// <inheritdoc />
    public BlockLayers Apply(int block, BlockLayers plain) => plain;

    /// <inheritdoc />
    public PatchEmbedding Apply(PatchEmbedding plain) => plain with
    {
        Weight = TensorScope.Run(() => Weight.FakeQuantize(QuantizedLinear.Wide(plain.Weight)).to(plain.Weight.dtype)),
        Input = Input is null ? null : images => Input.FakeQuantize(QuantizedLinear.Wide(images)).to(images.dtype),
    };
}
