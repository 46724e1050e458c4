namespace RegCache.Lab.Encoders;

/// <summary>What joins the keys and values of a block in its attention.</summary>
public readonly record struct AttentionExtras
{
    /// <summary>Keys that come before the block's own [H,P,d]; null without a prefix.</summary>
    public Tensor? PrefixKeys { get; init; }

    /// <summary>Values that come before the block's own [H,P,d]; null without a prefix.</summary>
    public Tensor? PrefixValues { get; init; }

    /// <summary>Added to the logits of the block's own columns, broadcast to [B,H,M,N]; null adds nothing.</summary>
    public Tensor? Bias { get; init; }
}
