namespace RegCache.Lab.Encoders;

/// <summary>
/// Computes half a block at once, residual stream to residual stream. The result is that of the single layers up to
/// rounding; what lies between them never becomes a tensor.
/// </summary>
public interface IBlockBackend
{
    /// <summary>Whether the backend can do the attention half of these layers.</summary>
    /// <param name="layers">The block's layers.</param>
    /// <param name="tokens">The stream that arrives [B,N,C].</param>
    bool CanAttend(BlockLayers layers, Tensor tokens);

    /// <summary>Computes <c>x + gain * out(attention(in(norm(x))))</c>.</summary>
    /// <param name="layers">The block's layers.</param>
    /// <param name="tokens">x [B,N,C].</param>
    /// <param name="extras">Prefix, bias and mask.</param>
    /// <param name="keepHeads">Whether queries and keys are wanted.</param>
    /// <returns>The new stream, a fresh tensor, and queries and keys [B,H,N,d] if wanted.</returns>
    (Tensor Tokens, Tensor? Queries, Tensor? Keys) Attend(
        BlockLayers layers, Tensor tokens, AttentionExtras extras, bool keepHeads);

    /// <summary>Whether the backend can do the MLP half of these layers.</summary>
    /// <param name="layers">The block's layers.</param>
    /// <param name="tokens">The stream that arrives [B,N,C].</param>
    bool CanFeed(BlockLayers layers, Tensor tokens);

    /// <summary>Computes <c>x + gain * mlp(norm(x))</c>.</summary>
    /// <param name="layers">The block's layers.</param>
    /// <param name="tokens">x [B,N,C]; the result is written over it where its memory is dense.</param>
    /// <returns>The new stream.</returns>
    Tensor Feed(BlockLayers layers, Tensor tokens);
}
