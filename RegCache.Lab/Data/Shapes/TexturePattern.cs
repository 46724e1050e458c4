namespace RegCache.Lab.Data.Shapes;

/// <summary>Where the elements of a texture lie.</summary>
/// <param name="Angle">Direction across the stripes in radians; unused by dots.</param>
/// <param name="Period">Distance from one element to the next in pixels.</param>
/// <param name="OffsetX">Stripes: phase in periods. Dots: horizontal offset in pixels.</param>
/// <param name="OffsetY">Dots: vertical offset in pixels.</param>
public readonly record struct TexturePattern(double Angle, double Period, double OffsetX, double OffsetY);
