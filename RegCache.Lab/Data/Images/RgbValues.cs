namespace RegCache.Lab.Data.Images;

/// <summary>One number for each colour channel, on the scale of pixels divided by 255.</summary>
public readonly record struct RgbValues(double Red, double Green, double Blue)
{
    /// <summary>The same number for all three channels.</summary>
    public static RgbValues All(double value) => new(value, value, value);
}
