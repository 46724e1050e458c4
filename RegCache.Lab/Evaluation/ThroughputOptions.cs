namespace RegCache.Lab.Evaluation;

/// <summary>The protocol of a throughput measurement (token-merging.md, section 11).</summary>
public sealed record ThroughputOptions
{
    /// <summary>Images in a batch.</summary>
    public int Batch { get; init; } = 64;

    /// <summary>Forward passes of a repeat; the first quarter warms up and is not timed.</summary>
    public int Runs { get; init; } = 40;

    /// <summary>Repeats, of which the median counts.</summary>
    public int Repeats { get; init; } = 3;
}
