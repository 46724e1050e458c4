namespace RegCache.Lab.Registers;

/// <summary>The blocks whose attention sees the prefix (regcache.md, OPEN-8).</summary>
public enum PrefixBlocks
{
    /// <summary>The prefix-extraction block and all later ones.</summary>
    FromT,

    /// <summary>The prefix-extraction block alone.</summary>
    OnlyT,
}
