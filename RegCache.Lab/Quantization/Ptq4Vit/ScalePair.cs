namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>The candidates that a search chose for the two operands of a product, and the quantizers they stand for.</summary>
/// <param name="LeftIndex">Candidate of the left operand (input, queries or probabilities).</param>
/// <param name="Left">Its quantizer.</param>
/// <param name="RightIndices">Candidate of every row group of the right operand (weights, keys or values).</param>
/// <param name="RightScales">Their scales.</param>
internal sealed record ScalePair(int LeftIndex, ITensorQuantizer Left, int[] RightIndices, float[] RightScales);
