namespace RegCache.Lab.Encoders;

/// <summary>
/// Seams 3 and 4 of the attention products: <c>softmax(Q K'^T / sqrt(d) + bias) V'</c>, where K' and V' carry the
/// prefix of extra keys and values in front. Implementations may quantize the operands; the prefix stays float.
/// </summary>
public interface IAttention
{
    /// <summary>Computes the weighted values of all heads [B,H,M,d].</summary>
    /// <param name="query">Queries [B,H,M,d].</param>
    /// <param name="key">Keys [B,H,N,d].</param>
    /// <param name="value">Values [B,H,N,d].</param>
    /// <param name="extras">Prefix, bias and mask.</param>
    /// <param name="probe">Told of the attention probabilities.</param>
    Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe);
}
