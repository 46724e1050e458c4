using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>The calibrated quantizers of one linear layer.</summary>
/// <param name="Input">Quantizer of the input activation.</param>
/// <param name="Weight">Grid of the weights, after the shift if there is one.</param>
public sealed record CalibratedLinear(ITensorQuantizer Input, UniformQuantizer Weight)
{
    /// <summary>What moves between this layer and the LayerNorm before it; null for nothing.</summary>
    public ScaleReparameterization? Shift { get; init; }

    /// <summary>The layer with its quantizers in place.</summary>
    internal ILinear Quantize(ILinear plain)
    {
        using var scope = torch.NewDisposeScope();
        var shifted = Shift?.Apply(plain) ?? plain;
        var weight = Weight.FakeQuantize(QuantizedLinear.Wide(shifted.Weight)).to(shifted.Weight.dtype);
        if (Shift is not null)
        {
            shifted.Bias?.MoveToOuterDisposeScope();
        }

        return new QuantizedLinear(new Linear(weight.MoveToOuterDisposeScope(), shifted.Bias), Weight, Input, IsRowwise: true);
    }
}
