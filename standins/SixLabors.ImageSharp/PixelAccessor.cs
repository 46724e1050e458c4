using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp;

public readonly ref struct PixelAccessor<TPixel>
    where TPixel : unmanaged, IPixel<TPixel>
{
    private readonly Span<TPixel> _pixels;

    internal PixelAccessor(Span<TPixel> pixels, int width, int height)
    {
        _pixels = pixels;
        Width = width;
        Height = height;
    }

    public int Width { get; }

    public int Height { get; }

    public Span<TPixel> GetRowSpan(int rowIndex) => _pixels.Slice(rowIndex * Width, Width);
}
