namespace RegCache.Lab.Data.Shapes;

/// <summary>What one image shows.</summary>
/// <param name="First">The first, or only, object.</param>
/// <param name="Second">The second object, or null.</param>
/// <param name="Relation">Where the first object lies, seen from the second.</param>
/// <param name="Background">What lies behind.</param>
public sealed record ShapesScene(ShapeObject First, ShapeObject? Second, ShapeRelation Relation, ShapeBackground Background)
{
    /// <summary>Side of an image in pixels.</summary>
    public const int Side = 64;

    /// <summary>Bytes of an image, rows of pixels of red, green and blue.</summary>
    public const int Bytes = Side * Side * 3;
}

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

/// <summary>The shapes of the generated set, in class order.</summary>
public enum ShapeKind
{
    /// <summary>A filled disc.</summary>
    Circle,

    /// <summary>A filled square.</summary>
    Square,

    /// <summary>An equilateral triangle, point up.</summary>
    Triangle,

    /// <summary>A five-pointed star, one tip up.</summary>
    Star,

    /// <summary>An upright cross with arms of equal length.</summary>
    Cross,

    /// <summary>A disc with a hole.</summary>
    Ring,
}

/// <summary>Where the first of two objects lies, seen from the second.</summary>
public enum ShapeRelation
{
    /// <summary>The first object is on the left.</summary>
    LeftOf,

    /// <summary>The first object is on the right.</summary>
    RightOf,

    /// <summary>The first object is above.</summary>
    Above,

    /// <summary>The first object is below.</summary>
    Below,
}

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

/// <summary>Where the elements of a texture lie.</summary>
/// <param name="Angle">Direction across the stripes in radians; unused by dots.</param>
/// <param name="Period">Distance from one element to the next in pixels.</param>
/// <param name="OffsetX">Stripes: phase in periods. Dots: horizontal offset in pixels.</param>
/// <param name="OffsetY">Dots: vertical offset in pixels.</param>
public readonly record struct TexturePattern(double Angle, double Period, double OffsetX, double OffsetY);

/// <summary>The background of a scene.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="First">Its colour, or that of the gradient's beginning.</param>
/// <param name="Second">The colour of the gradient's end.</param>
/// <param name="Direction">Direction of the gradient in radians.</param>
public sealed record ShapeBackground(BackgroundKind Kind, Rgb First, Rgb Second, double Direction);

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

/// <summary>A colour; channels from 0 to 255, not rounded.</summary>
/// <param name="Red">Red.</param>
/// <param name="Green">Green.</param>
/// <param name="Blue">Blue.</param>
public readonly record struct Rgb(float Red, float Green, float Blue);
