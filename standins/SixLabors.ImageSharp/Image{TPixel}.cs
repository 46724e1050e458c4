using System.Runtime.InteropServices;
using SixLabors.ImageSharp.Codecs;
using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp;

public sealed class Image<TPixel> : Image
    where TPixel : unmanaged, IPixel<TPixel>
{
    private TPixel[]? _pixels;

    public Image(int width, int height)
        : base(width, height)
    {
        _pixels = new TPixel[checked(width * height)];
    }

    public Image(int width, int height, TPixel backgroundColor)
        : this(width, height)
    {
        Pixels.Fill(backgroundColor);
    }

    internal Span<TPixel> Pixels => Array;

    private TPixel[] Array => _pixels ?? throw new ObjectDisposedException(nameof(Image));

    public TPixel this[int x, int y]
    {
        get => Array[IndexOf(x, y)];
        set => Array[IndexOf(x, y)] = value;
    }

    public Image<TPixel> Clone() => LoadPixelData<TPixel>(Pixels, Width, Height);

    public void ProcessPixelRows(PixelAccessorAction<TPixel> processPixels) =>
        processPixels(new PixelAccessor<TPixel>(Pixels, Width, Height));

    public void CopyPixelDataTo(Span<TPixel> destination) => Pixels.CopyTo(destination);

    public void CopyPixelDataTo(Span<byte> destination) => MemoryMarshal.AsBytes(Pixels).CopyTo(destination);

    public bool DangerousTryGetSinglePixelMemory(out Memory<TPixel> memory)
    {
        memory = Array;
        return true;
    }

    protected override void Dispose(bool disposing) => _pixels = null;

    internal void Replace(TPixel[] pixels, int width, int height)
    {
        _pixels = pixels;
        Size = new Size(width, height);
    }

    internal override void WritePng(Stream stream) => PngWriter.Write<TPixel>(stream, Pixels, Width, Height);

    private int IndexOf(int x, int y)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)x, (uint)Width, nameof(x));
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)y, (uint)Height, nameof(y));
        return (y * Width) + x;
    }
}
