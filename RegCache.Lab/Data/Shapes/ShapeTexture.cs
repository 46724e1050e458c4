namespace RegCache.Lab.Data.Shapes;

/// <summary>How an object is filled.</summary>
public enum ShapeTexture
{
    /// <summary>One colour.</summary>
    Solid,

    /// <summary>Parallel stripes of the colour and of a darker tone of it.</summary>
    Striped,

    /// <summary>Dots of a darker tone on the colour.</summary>
    Dotted,
}
