namespace RegCache.Lab.Data.Images;

/// <summary>Resampling filters; both widen with the scale when an image shrinks (antialiasing).</summary>
public enum Interpolation
{
    /// <summary>Cubic convolution with a = -0.5, Pillow's <c>BICUBIC</c>.</summary>
    Bicubic,

    /// <summary>A triangle of one pixel's radius, Pillow's <c>BILINEAR</c>.</summary>
    Bilinear,
}
