namespace RegCache.Lab.Data.Shapes;

/// <summary>The background of a scene.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="First">Its colour, or that of the gradient's beginning.</param>
/// <param name="Second">The colour of the gradient's end.</param>
/// <param name="Direction">Direction of the gradient in radians.</param>
public sealed record ShapeBackground(BackgroundKind Kind, Rgb First, Rgb Second, double Direction);
