using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>Random orders of the free tokens.</summary>
internal static class RandomOrder
{
    /// <summary>A random order of the free tokens of every image: indices into the sequence [B,N-P], int64.</summary>
    public static Tensor Of(TokenBatch batch, long seed, int block)
    {
        using var scope = torch.NewDisposeScope();
        using var generator = new torch.Generator((ulong)HashCode(seed, block), batch.Tokens.device);
        var first = batch.Layout.ProtectedTokens;
        var keys = torch.rand([batch.Images, batch.Length - first], device: batch.Tokens.device, generator: generator);
        return (keys.argsort(1) + first).MoveToOuterDisposeScope();
    }

    // Blocks must not draw the same tokens; System.HashCode differs from process to process.
    private static long HashCode(long seed, int block) => unchecked((seed * 1_000_003) + block) & long.MaxValue;
}
