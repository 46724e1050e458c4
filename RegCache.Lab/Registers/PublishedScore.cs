namespace RegCache.Lab.Registers;

/// <summary>A published zero-shot top-1 accuracy on ImageNet-1k, percent; null where none is known.</summary>
/// <param name="Model">The model.</param>
/// <param name="Bits">Bit-widths.</param>
/// <param name="Baseline">The quantizer.</param>
/// <param name="Float">The float model.</param>
/// <param name="Quantized">Quantized, without RegCache.</param>
/// <param name="PrefixOnly">With the prefix alone.</param>
/// <param name="DeleteOnly">With deletion alone.</param>
/// <param name="Both">With RegCache.</param>
public sealed record PublishedScore(
    string Model, string Bits, string Baseline, double? Float, double Quantized, double? PrefixOnly, double? DeleteOnly, double Both);
