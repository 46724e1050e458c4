namespace RegCache.Lab.Encoders;

/// <summary>Layer normalisation over the channels: <c>(x - mean) / sqrt(var + eps) * w + b</c>.</summary>
/// <param name="Weight">Gain [C].</param>
/// <param name="Bias">Offset [C].</param>
/// <param name="Epsilon">Added to the variance.</param>
public sealed record LayerNorm(Tensor Weight, Tensor Bias, double Epsilon)
{
    /// <summary>
    /// Normalises each row, [..,C] to [..,C]. Reduced precision is normalised in float32 and cast back, as OpenCLIP does.
    /// </summary>
    public Tensor Apply(Tensor input)
    {
        if (input.dtype == Weight.dtype)
        {
            return torch.nn.functional.layer_norm(input, Weight.shape, Weight, Bias, Epsilon);
        }

        var wide = input.to(Weight.dtype);
        return torch.nn.functional.layer_norm(wide, Weight.shape, Weight, Bias, Epsilon).to(input.dtype);
    }
}
