using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>What tokens are compared by: the block's attention keys, averaged over the heads.</summary>
internal static class MergeMetric
{
    /// <summary>The metric of every token [B,N,C/H], float32.</summary>
    /// <exception cref="InvalidOperationException">The stage is not the first one inside a block.</exception>
    public static Tensor Of(TokenBatch batch, StageContext context)
    {
        if (context.Keys is not { } keys || keys.shape[2] != batch.Length)
        {
            throw new InvalidOperationException(
                $"Merging in block {context.Block} has no keys for its tokens: it has to be the first stage between attention and MLP.");
        }

        using var wide = keys.to(torch.ScalarType.Float32);
        return wide.mean([1]);
    }

    /// <summary>Pairs that a step over <paramref name="tokens"/> tokens scores: ceil(N/2) floor(N/2).</summary>
    public static long PairScores(long tokens) => (tokens + 1) / 2 * (tokens / 2);
}
