namespace RegCache.Lab.Data.Shapes;

/// <summary>One object of a scene. Lengths are in pixels; pixel i has its centre at i + 0.5.</summary>
/// <param name="Kind">The shape.</param>
/// <param name="ColorIndex">Index into <see cref="ShapesVocabulary.Colors"/>.</param>
/// <param name="Texture">How it is filled.</param>
/// <param name="IsLarge">Whether it was drawn from the large sizes.</param>
/// <param name="CenterX">Horizontal centre.</param>
/// <param name="CenterY">Vertical centre, downwards.</param>
/// <param name="Radius">Radius.</param>
/// <param name="Rotation">Rotation in radians.</param>
/// <param name="Color">The colour as drawn: the named colour with a small random shift.</param>
/// <param name="Pattern">Orientation, period and offsets of the texture.</param>
public sealed record ShapeObject(
    ShapeKind Kind,
    int ColorIndex,
    ShapeTexture Texture,
    bool IsLarge,
    double CenterX,
    double CenterY,
    double Radius,
    double Rotation,
    Rgb Color,
    TexturePattern Pattern)
{
    /// <summary>The class, colour times six plus shape.</summary>
    public int Class => (ColorIndex * ShapesVocabulary.Shapes.Count) + (int)Kind;
}
