using System.Runtime.InteropServices;
using SixLabors.ImageSharp.Advanced;
using SixLabors.ImageSharp.Codecs;
using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp;

public abstract class Image : IDisposable, IConfigurationProvider
{
    private protected Image(int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        Size = new Size(width, height);
    }

    public int Width => Size.Width;

    public int Height => Size.Height;

    public Size Size { get; private protected set; }

    public Configuration Configuration => Configuration.Default;

    public Rectangle Bounds => new(0, 0, Width, Height);

    public static ImageInfo Identify(ReadOnlySpan<byte> buffer) => new(Decoder.ReadSize(buffer));

    public static ImageInfo Identify(string path) => Identify(File.ReadAllBytes(path));

    public static Image<TPixel> Load<TPixel>(ReadOnlySpan<byte> data)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        var pixels = Decoder.Decode(data, out var size);
        var image = new Image<TPixel>(size.Width, size.Height);
        var target = image.Pixels;
        for (var i = 0; i < target.Length; i++)
        {
            target[i].FromRgba32(pixels[i]);
        }

        return image;
    }

    public static Image<TPixel> Load<TPixel>(Stream stream)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        using var buffer = new MemoryStream();
        stream.CopyTo(buffer);
        return Load<TPixel>(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }

    public static Image<TPixel> Load<TPixel>(string path)
        where TPixel : unmanaged, IPixel<TPixel> => Load<TPixel>(File.ReadAllBytes(path));

    public static Image<TPixel> LoadPixelData<TPixel>(ReadOnlySpan<TPixel> data, int width, int height)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        var image = new Image<TPixel>(width, height);
        ArgumentOutOfRangeException.ThrowIfLessThan(data.Length, image.Pixels.Length);
        data[..image.Pixels.Length].CopyTo(image.Pixels);
        return image;
    }

    public static Image<TPixel> LoadPixelData<TPixel>(ReadOnlySpan<byte> data, int width, int height)
        where TPixel : unmanaged, IPixel<TPixel> =>
        LoadPixelData(MemoryMarshal.Cast<byte, TPixel>(data), width, height);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);

    internal abstract void WritePng(Stream stream);
}
