namespace RegCache.Lab.Quantization.Ranges;

/// <summary>What a quantizer does to the tokens of an activation, summed so that batches can be added up.</summary>
/// <param name="Squared">Squared error, summed over all values.</param>
/// <param name="Decibels">Signal over error of a token, decibels, summed over tokens.</param>
/// <param name="Tokens">Number of tokens.</param>
internal sealed record QuantizationError(double Squared, double Decibels, long Tokens)
{
    // An error below this share of the signal counts as this share: a token may have none.
    private const double Smallest = 1e-12;

    /// <summary>Mean over tokens of signal over error, decibels.</summary>
    public double MeanDecibels => Decibels / Tokens;

    /// <summary>Measures a quantizer.</summary>
    /// <param name="values">The activation [B,N,C], before the shift.</param>
    /// <param name="quantizer">The quantizer.</param>
    /// <param name="shift">What moves out of the activation before it is quantized, and back into it afterwards.</param>
    public static QuantizationError Of(Tensor values, ITensorQuantizer quantizer, ScaleReparameterization? shift)
    {
        using var scope = torch.NewDisposeScope();
        var shifted = shift?.Move(values) ?? values;
        var error = quantizer.FakeQuantize(shifted).sub_(shifted);
        error = shift is null ? error : error.mul_(shift.Ratio);
        var noise = error.square().sum([-1], type: torch.ScalarType.Float64);
        var signal = values.square().sum([-1], type: torch.ScalarType.Float64);
        // A token of zeros is quantized to zeros: it counts as one without error.
        var share = (noise / signal.clamp(min: double.Epsilon)).clamp_(min: Smallest);
        return new(noise.sum().item<double>(), -10 * share.log10().sum().item<double>(), share.NumberOfElements);
    }

    /// <summary>The sums of both; of nothing, nothing.</summary>
    public static QuantizationError? operator +(QuantizationError? left, QuantizationError? right) => left is null || right is null
        ? null
        : new(left.Squared + right.Squared, left.Decibels + right.Decibels, left.Tokens + right.Tokens);
}
