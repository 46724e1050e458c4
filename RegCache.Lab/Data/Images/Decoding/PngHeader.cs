namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>The IHDR chunk of a PNG file and what follows from it.</summary>
internal readonly record struct PngHeader(int Width, int Height, int Depth, PngColor Color, bool Interlaced)
{
    /// <summary>Whether colour type and depth are a pair that the format defines.</summary>
    public bool IsDefined => Color switch
    {
        PngColor.Grey => Depth is 1 or 2 or 4 or 8 or 16,
        PngColor.Palette => Depth is 1 or 2 or 4 or 8,
        PngColor.Rgb or PngColor.GreyAlpha or PngColor.Rgba => Depth is 8 or 16,
        _ => false,
    };

    /// <summary>Whether pixels are black or white, which Pillow resizes like palette indices.</summary>
    public bool IsBilevel => Color == PngColor.Grey && Depth == 1;

    /// <summary>How the decoded pixels are stored.</summary>
    public PixelLayout Layout => Color switch
    {
        PngColor.Palette => PixelLayout.Palette,
        PngColor.Grey => Depth switch
        {
            1 => PixelLayout.Palette,
            16 => PixelLayout.Grey16,
            _ => PixelLayout.Rgb,
        },
        PngColor.Rgb => PixelLayout.Rgb,
        _ => PixelLayout.Rgba,
    };

    /// <summary>Bytes of a decoded pixel.</summary>
    public int OutputBytes => Layout switch
    {
        PixelLayout.Palette => 1,
        PixelLayout.Grey16 => 2,
        PixelLayout.Rgb => 3,
        _ => 4,
    };

    /// <summary>How many bytes back the filters look.</summary>
    public int FilterDistance => Math.Max(1, Channels * Depth / 8);

    private int Channels => Color switch
    {
        PngColor.Rgb => 3,
        PngColor.GreyAlpha => 2,
        PngColor.Rgba => 4,
        _ => 1,
    };

    /// <summary>Bytes of a stored row of <paramref name="columns"/> pixels, without the filter byte.</summary>
    public int RowBytes(int columns) => checked((int)((((long)columns * Channels * Depth) + 7) / 8));
}
