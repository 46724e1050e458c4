namespace RegCache.Lab.Data.Shapes;

/// <summary>A colour; channels from 0 to 255, not rounded.</summary>
/// <param name="Red">Red.</param>
/// <param name="Green">Green.</param>
/// <param name="Blue">Blue.</param>
public readonly record struct Rgb(float Red, float Green, float Blue);
