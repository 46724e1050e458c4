using CsvHelper;

namespace RegCache.Lab.Quantization.Ranges;

/// <summary>The input of one linear layer in one encoder: its range, its tails, and what quantizing it costs.</summary>
/// <param name="Baseline">Name of the quantizer, or "float".</param>
/// <param name="Bits">Bit-widths, or "float".</param>
/// <param name="Registers">Whether RegCache is on.</param>
/// <param name="Block">The block, 0-based.</param>
/// <param name="Layer">The layer inside the block, for example `mlp.c_proj`.</param>
/// <param name="Min">Smallest value of all images.</param>
/// <param name="Max">Largest value of all images.</param>
/// <param name="LInf">Largest magnitude of an image, mean over images.</param>
/// <param name="Kurtosis">Fourth central moment over the squared variance; 3 for a normal distribution. Null for a constant.</param>
/// <param name="Mse">Mean squared quantization error of the input; null in float.</param>
/// <param name="TokenSqnr">
/// Signal over quantization error of a token, decibels, mean over tokens: a few tokens with huge entries do not hide what
/// happens to all others. Null in float.
/// </param>
[CsvRecord]
public sealed partial record RangeRow(
    string Baseline,
    string Bits,
    bool Registers,
    int Block,
    string Layer,
    double Min,
    double Max,
    double LInf,
    double? Kurtosis,
    double? Mse,
    double? TokenSqnr);
