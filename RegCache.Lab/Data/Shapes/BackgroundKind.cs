namespace RegCache.Lab.Data.Shapes;

/// <summary>What lies behind the objects.</summary>
public enum BackgroundKind
{
    /// <summary>One greyish colour.</summary>
    Plain,

    /// <summary>A linear gradient between two greyish colours.</summary>
    Gradient,

    /// <summary>One greyish colour with strong grey noise.</summary>
    Noisy,
}
