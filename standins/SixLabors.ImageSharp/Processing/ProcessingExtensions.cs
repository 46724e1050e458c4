using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp.Processing;

public static class ProcessingExtensions
{
    public static void Mutate<TPixel>(this Image<TPixel> source, Action<IImageProcessingContext> operation)
        where TPixel : unmanaged, IPixel<TPixel> => operation(new ImageProcessingContext<TPixel>(source));

    public static Image<TPixel> Clone<TPixel>(this Image<TPixel> source, Action<IImageProcessingContext> operation)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        var clone = source.Clone();
        clone.Mutate(operation);
        return clone;
    }
}
