namespace RegCache.Lab.Encoders.Text;

/// <summary>What happens to a text of more tokens than the context holds.</summary>
public enum TokenReduction
{
    /// <summary>The first tokens are kept.</summary>
    Truncate,

    /// <summary>A random run of neighbouring tokens is kept.</summary>
    Block,

    /// <summary>A random subset is kept, in its order.</summary>
    Subset,

    /// <summary>A random subset is kept, in random order.</summary>
    Shuffle,
}
