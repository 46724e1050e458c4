namespace RegCache.Lab.Encoders;

/// <summary>What is plugged into the seams of one block. Compares by value.</summary>
public sealed record BlockPlan
{
    /// <summary>The block as trained: nothing is plugged in.</summary>
    public static BlockPlan Plain { get; } = new();

    /// <summary>Seam 1: stages that act on the tokens before they enter the block.</summary>
    public ValueList<ITokenStage> Before { get; init; } = [];

    /// <summary>Seam 2: stages that act inside the block, between attention and MLP.</summary>
    public ValueList<ITokenStage> Between { get; init; } = [];

    /// <summary>Seam 3: cached keys and values that join the attention; null for none.</summary>
    public RegisterPrefix? Prefix { get; init; }

    /// <summary>Seam 3: number of copies of the prefix row.</summary>
    public int PrefixCount { get; init; }

    /// <summary>Seam 3: whether the logarithm of a token's size is added to its attention logits.</summary>
    public bool ProportionalAttention { get; init; }

    /// <summary>Seams 4 and 5: how the layers run; null runs the plain float layers.</summary>
    public ILayerTransform? Transform { get; init; }
}
