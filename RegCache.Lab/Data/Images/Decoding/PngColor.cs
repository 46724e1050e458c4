namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>PNG colour types, with the numbers of the format.</summary>
internal enum PngColor
{
    /// <summary>Grey.</summary>
    Grey = 0,

    /// <summary>Red, green, blue.</summary>
    Rgb = 2,

    /// <summary>Index of a palette colour.</summary>
    Palette = 3,

    /// <summary>Grey and alpha.</summary>
    GreyAlpha = 4,

    /// <summary>Red, green, blue, alpha.</summary>
    Rgba = 6,
}
