namespace RegCache.Lab.Data.Images;

/// <summary>One number for each colour channel, on the scale of pixels divided by 255.</summary>
public readonly record struct RgbValues(float Red, float Green, float Blue)
{
    /// <summary>The same number for all three channels.</summary>
    public static RgbValues All(float value) => new(value, value, value);
}
