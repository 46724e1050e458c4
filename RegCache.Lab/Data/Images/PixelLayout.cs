namespace RegCache.Lab.Data.Images;

/// <summary>
/// How the pixels of a <see cref="DecodedImage"/> are stored. Grey images are stored as <see cref="Rgb"/> and grey
/// images with alpha as <see cref="Rgba"/>: resampling treats channels alike, so this changes no byte of a result.
/// </summary>
public enum PixelLayout
{
    /// <summary>Three bytes a pixel: red, green, blue.</summary>
    Rgb,

    /// <summary>Four bytes a pixel: red, green, blue, alpha (not premultiplied).</summary>
    Rgba,

    /// <summary>Four bytes a pixel: cyan, magenta, yellow, black, 255 = full ink.</summary>
    Cmyk,

    /// <summary>One byte a pixel: the index of a colour in <see cref="DecodedImage.Palette"/>.</summary>
    Palette,

    /// <summary>Two bytes a pixel in the machine's byte order: 16-bit grey.</summary>
    Grey16,
}
