using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Ranges;

/// <summary>One encoder of a range study.</summary>
/// <param name="Baseline">Name of the quantizer, or <see cref="Float"/>.</param>
/// <param name="Bits">Its bit-widths; null in float.</param>
/// <param name="Registers">Whether RegCache is on.</param>
/// <param name="Quantizer">The quantizer whose errors are measured; null in float.</param>
/// <param name="Plan">What runs: RegCache, and the quantizer too where it is judged on the stream that it makes itself.</param>
public sealed record RangeCase(string Baseline, QuantizationBits? Bits, bool Registers, IQuantizer? Quantizer, EncoderPlan Plan)
{
    /// <summary>The name of the encoder without a quantizer.</summary>
    public const string Float = "float";
}
