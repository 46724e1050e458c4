namespace RegCache.Lab.Encoders;

/// <summary>What a token stage may look at besides the stream itself.</summary>
/// <param name="Block">The block that the stage belongs to, 0-based.</param>
public sealed record StageContext(int Block)
{
    /// <summary>
    /// Attention keys of the block before scaling [B,H,N,D/H], without prefix columns; null at the seam between blocks.
    /// </summary>
    public Tensor? Keys { get; init; }

    /// <summary>Attention queries of the block [B,H,N,D/H]; null at the seam between blocks.</summary>
    public Tensor? Queries { get; init; }

    /// <summary>What joined the block's attention: prefix and bias.</summary>
    public AttentionExtras Extras { get; init; }
}
