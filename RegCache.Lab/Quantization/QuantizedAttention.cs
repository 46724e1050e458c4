using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

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
