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

/// <summary>
/// Seam 3: the cached keys and values that join the attention of some blocks. Compares by <see cref="Id"/>, so that
/// plans with the same prefix share the computation.
/// </summary>
public sealed class RegisterPrefix : IEquatable<RegisterPrefix>, ITensorHolder
{
    private readonly IReadOnlyDictionary<int, (Tensor Key, Tensor Value)> _rows;

    /// <summary>Creates the prefix.</summary>
    /// <param name="id">Identifies the content, for example its hash.</param>
    /// <param name="rows">For each block that has the prefix, its key and value row [C], float32.</param>
    public RegisterPrefix(string id, IReadOnlyDictionary<int, (Tensor Key, Tensor Value)> rows)
    {
        Id = id;
        _rows = rows;
    }

    /// <summary>Identifies the content.</summary>
    public string Id { get; }

    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => _rows.Values.SelectMany(row => new[] { row.Key, row.Value });

    /// <summary>The keys and values that join a block: <paramref name="count"/> copies of its row.</summary>
    /// <returns>Keys and values [H,count,C/H].</returns>
    /// <exception cref="ArgumentException">The prefix has no row for the block.</exception>
    public (Tensor Keys, Tensor Values) Expand(int block, int heads, int count)
    {
        if (!_rows.TryGetValue(block, out var row))
        {
            throw new ArgumentException($"Prefix {Id} has no keys and values for block {block}.", nameof(block));
        }

        Tensor Repeat(Tensor vector) => vector.view(heads, 1, -1).expand(-1, count, -1);
        return (Repeat(row.Key), Repeat(row.Value));
    }

    /// <inheritdoc />
    public bool Equals(RegisterPrefix? other) => other is not null && Id == other.Id;

    /// <inheritdoc />
    public override bool Equals(object? obj) => Equals(obj as RegisterPrefix);

    /// <inheritdoc />
    public override int GetHashCode() => Id.GetHashCode(StringComparison.Ordinal);

    /// <inheritdoc />
    public override string ToString() => Id;
}
