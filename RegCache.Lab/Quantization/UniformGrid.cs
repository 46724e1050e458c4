namespace RegCache.Lab.Quantization;

/// <summary>
/// A uniform quantizer with its parameters: codes <c>q = clip(round(x / s) + z, lowest, highest)</c>, values
/// <c>(q - z) s</c>, rounding half to even (quantizers.md, section 1).
/// </summary>
/// <param name="Scale">Step s, broadcast to the tensor that is quantized.</param>
/// <param name="ZeroPoint">Code z of the value zero, broadcast like the scale; null for a symmetric grid.</param>
/// <param name="Lowest">Smallest code.</param>
/// <param name="Highest">Largest code.</param>
public sealed record UniformGrid(Tensor Scale, Tensor? ZeroPoint, int Lowest, int Highest) : ITensorQuantizer
{
    /// <summary>The codes of a tensor, as whole numbers of the tensor's own type.</summary>
    public Tensor Encode(Tensor values)
    {
        using var scope = torch.NewDisposeScope();
        var codes = values.div(Scale).round_();
        codes = ZeroPoint is null ? codes : codes.add_(ZeroPoint);
        return codes.clamp_(Lowest, Highest).MoveToOuterDisposeScope();
    }

    /// <summary>The values that codes stand for.</summary>
    public Tensor Decode(Tensor codes)
    {
        if (ZeroPoint is null)
        {
            return codes * Scale;
        }

        using var centred = codes - ZeroPoint;
        return centred * Scale;
    }

    /// <inheritdoc />
    public Tensor FakeQuantize(Tensor values)
    {
        if (FakeQuantizeKernel.CanRun(values, this))
        {
            return FakeQuantizeKernel.Run(values, this);
        }

        using var codes = Encode(values);
        return Decode(codes);
    }
}
