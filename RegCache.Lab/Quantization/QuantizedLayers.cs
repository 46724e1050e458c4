using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>A linear layer with simulated quantization: <c>y = dq(x) dq(W)^T + b</c>, products in float.</summary>
/// <param name="Product">The float layer with the dequantized weights dq(W) [out,in] and the bias.</param>
/// <param name="WeightGrid">The grid that the weights are on.</param>
/// <param name="Input">Quantizer of the input activation.</param>
/// <param name="IsRowwise">Whether the input's grid does not depend on other rows.</param>
internal sealed record QuantizedLinear(ILinear Product, UniformQuantizer WeightGrid, ITensorQuantizer Input, bool IsRowwise) : ILinear
{
    public Tensor Weight => Product.Weight;

    public Tensor? Bias => Product.Bias;

    /// <summary>The values in at least single precision, in which all grids are.</summary>
    public static Tensor Wide(Tensor values) => values.dtype is torch.ScalarType.Float32 or torch.ScalarType.Float64
        ? values
        : values.to(torch.ScalarType.Float32);

    public Tensor Apply(Tensor input) =>
        TensorScope.Run(() => Product.Apply(Input.FakeQuantize(Wide(input)).to(input.dtype)));
}

/// <summary>
/// Multi-head attention with simulated quantization of both products. The factor 1/sqrt(d) is applied to the product, after
/// the queries have been quantized, as both published quantizers do.
/// </summary>
/// <param name="Products">Quantizers of the operands.</param>
internal sealed record QuantizedAttention(AttentionProducts Products) : IAttention
{
    public Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe)
    {
        using var scope = torch.NewDisposeScope();
        var type = query.dtype;
        Tensor Quantized(ITensorQuantizer quantizer, Tensor values) =>
            quantizer.FakeQuantize(QuantizedLinear.Wide(values)).to(type);

        var keys = Attention.Prepend(extras.PrefixKeys, Quantized(Products.Key, key));
        var values = Attention.Prepend(extras.PrefixValues, Quantized(Products.Value, value));
        var logits = Quantized(Products.Query, query).matmul(keys.transpose(-2, -1)).mul_(1 / Math.Sqrt(query.shape[^1]));
        if (extras.Bias is { } bias)
        {
            logits = logits + Attention.PadColumns(bias, extras.PrefixKeys);
        }

        var probabilities = logits.softmax(-1);
        probe.Observe(ActivationKind.AttentionProbabilities, probabilities);
        return Quantized(Products.Probabilities, probabilities).matmul(values).MoveToOuterDisposeScope();
    }
}

/// <summary>Which of a block's activations are inputs of its linear layers.</summary>
internal static class LinearInputs
{
    /// <summary>The layer that takes the activation; null for those that no linear layer takes.</summary>
    public static LinearKind? TakenBy(this ActivationKind activation) => activation switch
    {
        ActivationKind.AttentionNorm => LinearKind.AttentionIn,
        ActivationKind.AttentionContext => LinearKind.AttentionOut,
        ActivationKind.MlpNorm => LinearKind.MlpIn,
        ActivationKind.MlpHidden => LinearKind.MlpOut,
        _ => null,
    };
}
