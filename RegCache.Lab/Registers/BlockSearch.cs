namespace RegCache.Lab.Registers;

/// <summary>How the prefix-extraction block is chosen (regcache.md, OPEN-4).</summary>
public enum BlockSearch
{
    /// <summary>The whole grid for every candidate block.</summary>
    Exhaustive,

    /// <summary>Each candidate block with one prefix token first, then the grid of the best.</summary>
    TwoStep,
}
