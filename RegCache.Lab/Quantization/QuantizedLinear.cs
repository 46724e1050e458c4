using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>A linear layer with simulated quantization: <c>y = dq(x) dq(W)^T + b</c>, products in float.</summary>
/// <param name="Weight">The dequantized weights [out,in].</param>
/// <param name="Bias">The bias [out], float; null when the layer has none.</param>
/// <param name="Input">Quantizer of the input activation.</param>
/// <param name="IsRowwise">Whether the input's grid does not depend on other rows.</param>
internal sealed record QuantizedLinear(Tensor Weight, Tensor? Bias, ITensorQuantizer Input, bool IsRowwise) : ILinear
{
    /// <summary>The values in at least single precision, in which all grids are.</summary>
    public static Tensor Wide(Tensor values) => values.dtype is torch.ScalarType.Float32 or torch.ScalarType.Float64
        ? values
        : values.to(torch.ScalarType.Float32);

    public Tensor Apply(Tensor input)
    {
        using var scope = torch.NewDisposeScope();
        var quantized = Input.FakeQuantize(Wide(input)).to(Weight.dtype);
        return torch.nn.functional.linear(quantized, Weight, Bias).MoveToOuterDisposeScope();
    }
}
