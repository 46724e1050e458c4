namespace RegCache.Lab.Encoders;

/// <summary>
/// Seam 3: the cached keys and values that join the attention of some blocks. Compares by <see cref="Id"/>, so that
/// plans with the same prefix share the computation.
/// </summary>
public sealed class RegisterPrefix : IEquatable<RegisterPrefix>
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
