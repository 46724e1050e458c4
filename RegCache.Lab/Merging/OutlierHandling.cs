namespace RegCache.Lab.Merging;

/// <summary>What merging does with the tokens that have the largest entries of the residual stream.</summary>
public enum OutlierHandling
{
    /// <summary>They merge like all others.</summary>
    Ordinary,

    /// <summary>They neither merge nor receive.</summary>
    Protect,

    /// <summary>They merge, or receive, only when no ordinary pair is left.</summary>
    Last,
}
