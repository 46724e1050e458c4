namespace RegCache.Lab.Encoders;

/// <summary>How the vision tower obtains its position embedding.</summary>
public enum PositionEmbeddingKind
{
    /// <summary>A trained table with one row for the class token and one for every patch.</summary>
    Learnable,

    /// <summary>A fixed two-dimensional sine and cosine table (square grids only), with a zero row for the class token.</summary>
    SinCos2D,
}
