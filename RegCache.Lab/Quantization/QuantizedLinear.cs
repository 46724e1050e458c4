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

    public Tensor Apply(Tensor input)
    {
        using var scope = torch.NewDisposeScope();
        var quantized = Input.FakeQuantize(Wide(input)).to(input.dtype);
        return Product.Apply(quantized).MoveToOuterDisposeScope();
    }
}
