namespace SixLabors.ImageSharp.Processing;

public static class CropExtensions
{
    public static IImageProcessingContext Crop(this IImageProcessingContext source, Rectangle cropRectangle)
    {
        ((ImageProcessingContext)source).Crop(cropRectangle);
        return source;
    }

    public static IImageProcessingContext Crop(this IImageProcessingContext source, int width, int height) =>
        source.Crop(new Rectangle(0, 0, width, height));
}
