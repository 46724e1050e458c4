using SixLabors.ImageSharp.Processing.Processors.Transforms;

namespace SixLabors.ImageSharp.Processing;

public static class ResizeExtensions
{
    public static IImageProcessingContext Resize(this IImageProcessingContext source, int width, int height) =>
        source.Resize(width, height, KnownResamplers.Bicubic);

    public static IImageProcessingContext Resize(
        this IImageProcessingContext source, int width, int height, IResampler sampler)
    {
        if (width < 0 || height < 0 || (width == 0 && height == 0))
        {
            throw new ArgumentException("Target width and height must be greater than zero.");
        }

        ((ImageProcessingContext)source).Resize(width, height, sampler);
        return source;
    }
}
