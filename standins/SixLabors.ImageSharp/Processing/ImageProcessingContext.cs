using SixLabors.ImageSharp.PixelFormats;
using SixLabors.ImageSharp.Processing.Processors.Transforms;

namespace SixLabors.ImageSharp.Processing;

/// <summary>What the processing extensions act on; not generic, so that they need not be.</summary>
internal abstract class ImageProcessingContext : IImageProcessingContext
{
    public abstract Size GetCurrentSize();

    public abstract void Crop(Rectangle rectangle);

    public abstract void Resize(int width, int height, IResampler sampler);
}

/// <summary>Applies operations to an image in place.</summary>
internal sealed class ImageProcessingContext<TPixel>(Image<TPixel> image) : ImageProcessingContext
    where TPixel : unmanaged, IPixel<TPixel>
{
    public override Size GetCurrentSize() => image.Size;

    public override void Crop(Rectangle rectangle)
    {
        if (rectangle.Width < 1 || rectangle.Height < 1 || !image.Bounds.Contains(rectangle))
        {
            throw new ArgumentException("Crop rectangle should be smaller than the source bounds.", nameof(rectangle));
        }

        var cropped = new TPixel[rectangle.Width * rectangle.Height];
        for (var y = 0; y < rectangle.Height; y++)
        {
            image.Pixels.Slice(((rectangle.Y + y) * image.Width) + rectangle.X, rectangle.Width)
                .CopyTo(cropped.AsSpan(y * rectangle.Width));
        }

        image.Replace(cropped, rectangle.Width, rectangle.Height);
    }

    public override void Resize(int width, int height, IResampler sampler)
    {
        // A side of zero follows from the other and the shape.
        width = width > 0 ? width : Math.Max(1, (int)Math.Round(image.Width * (height / (double)image.Height)));
        height = height > 0 ? height : Math.Max(1, (int)Math.Round(image.Height * (width / (double)image.Width)));
        image.Replace(PixelResampler.Resize<TPixel>(image.Pixels, image.Size, new Size(width, height), sampler), width, height);
    }
}
