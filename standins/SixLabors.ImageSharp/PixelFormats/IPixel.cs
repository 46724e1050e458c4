namespace SixLabors.ImageSharp.PixelFormats;

public interface IPixel
{
    void FromRgb24(Rgb24 source);

    void FromRgba32(Rgba32 source);

    void ToRgba32(ref Rgba32 dest);
}
