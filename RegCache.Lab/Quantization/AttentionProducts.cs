namespace RegCache.Lab.Quantization;

/// <summary>
/// How the operands of a block's two attention products are quantized. Prefix keys and values stay float; the softmax
/// columns that belong to them are quantized with the rest (quantizers.md, section 4).
/// </summary>
/// <param name="Query">Quantizer of the queries [B,H,M,d].</param>
/// <param name="Key">Quantizer of the block's own keys [B,H,N,d].</param>
/// <param name="Probabilities">Quantizer of the softmax output [B,H,M,P+N].</param>
/// <param name="Value">Quantizer of the block's own values [B,H,N,d].</param>
public sealed record AttentionProducts(
    ITensorQuantizer Query, ITensorQuantizer Key, ITensorQuantizer Probabilities, ITensorQuantizer Value);
