using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

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
            AttentionNorm = Shifted(LinearKind.AttentionIn, layers.AttentionNorm),
            MlpNorm = Shifted(LinearKind.MlpIn, layers.MlpNorm),
        };
    }

    /// <summary>The block with one linear layer quantized and everything else in float.</summary>
    public CalibratedBlock Only(LinearKind kind) => new(
        Linears.Where(linear => linear.Key == kind).ToDictionary(linear => linear.Key, linear => linear.Value), null);

    private LayerNorm Shifted(LinearKind behind, LayerNorm norm) =>
        Linears.GetValueOrDefault(behind)?.Shift?.Apply(norm) ?? norm;
}
