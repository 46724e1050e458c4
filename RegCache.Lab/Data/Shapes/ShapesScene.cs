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
