namespace RegCache.Lab.Encoders;

/// <summary>
/// An experiment on the token stream: block by block, what is plugged into the seams of the encoder. An immutable
/// value; plans that agree up to a block share the computation up to there (<see cref="PlanRunner"/>).
/// </summary>
/// <param name="Blocks">One entry for each block of the encoder.</param>
public sealed record EncoderPlan(ValueList<BlockPlan> Blocks)
{
    /// <summary>How the patch embedding runs; null runs it in float.</summary>
    public ILayerTransform? Embedding { get; init; }

    /// <summary>The encoder as trained.</summary>
    public static EncoderPlan Plain(int blocks) => Uniform(blocks, BlockPlan.Plain);

    /// <summary>The same plan for every block.</summary>
    public static EncoderPlan Uniform(int blocks, BlockPlan block) =>
        new([.. Enumerable.Repeat(block, blocks)]);

    /// <summary>All blocks under one transform, for example a quantizer, the patch embedding included.</summary>
    public static EncoderPlan Uniform(int blocks, ILayerTransform transform) =>
        Uniform(blocks, BlockPlan.Plain with { Transform = transform }) with { Embedding = transform };

    /// <summary>Changes one block.</summary>
    public EncoderPlan With(int block, Func<BlockPlan, BlockPlan> change) =>
        this with { Blocks = Blocks.With(block, change(Blocks[block])) };

    /// <summary>Changes all blocks from <paramref name="first"/> on.</summary>
    public EncoderPlan From(int first, Func<BlockPlan, BlockPlan> change) =>
        this with { Blocks = [.. Blocks.Select((plan, block) => block < first ? plan : change(plan))] };
}
