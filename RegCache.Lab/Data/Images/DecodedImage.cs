using System.Buffers;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Data.Images;

/// <summary>
/// The pixels of one image file before any resizing, rows from top to bottom without gaps. Dispose the image when it is no
/// longer needed: its memory comes from a pool or, if it is large, from the system, which gets it back at once.
/// </summary>
public sealed class DecodedImage : IDisposable
{
    /// <summary>The most columns or rows of an image file, which bounds the tables of a resize.</summary>
    public const int MaximumSide = 1 << 18;

    /// <summary>Bytes that vector loads may touch behind the last pixel.</summary>
    internal const int Padding = 64;

    // A pool would keep arrays of this size, rounded up to a power of two, when nobody needs them any more.
    private const int LeastFromSystem = 1 << 26;

    private readonly byte[]? _palette;
    private byte[]? _buffer;
    private SystemMemory? _large;

    private DecodedImage(string name, int width, int height, PixelLayout layout, byte[]? buffer, SystemMemory? large, byte[]? palette)
    {
        Name = name;
        Width = width;
        Height = height;
        Layout = layout;
        _buffer = buffer;
        _large = large;
        _palette = palette;
    }

    /// <summary>What errors call the image: its path, or whatever its source calls it.</summary>
    public string Name { get; }

    /// <summary>Columns.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>How the pixels are stored.</summary>
    public PixelLayout Layout { get; }

    /// <summary>
    /// Whether the file ends early, so that what is missing is grey or coarse; only with <see cref="DecodingOptions.TruncatedImages"/>.
    /// </summary>
    public bool IsTruncated { get; internal set; }

    /// <summary>Bytes a pixel.</summary>
    public int BytesPerPixel => BytesOf(Layout);

    /// <summary>The pixels, [Height, Width, <see cref="BytesPerPixel"/>].</summary>
    public ReadOnlySpan<byte> Pixels => Writable;

    /// <summary>256 colours of three bytes for <see cref="PixelLayout.Palette"/>, else empty.</summary>
    public ReadOnlySpan<byte> Palette => _palette;

    /// <summary>The pixels for the decoder that fills them.</summary>
    internal Span<byte> Writable => Padded[..(Width * Height * BytesPerPixel)];

    /// <summary>The pixels and at least <see cref="Padding"/> bytes behind them.</summary>
    internal Span<byte> Padded => _large is { } large ? large.Span : _buffer ?? throw new ObjectDisposedException(nameof(DecodedImage));

    /// <summary>Whether the pixels are zero, and take no memory, until they are written.</summary>
    internal bool IsZeroed => _large is not null;

    /// <summary>Copies pixels that are already in memory.</summary>
    /// <param name="width">Columns, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="layout">How <paramref name="pixels"/> are stored.</param>
    /// <param name="pixels">[height, width, bytes a pixel].</param>
    /// <param name="palette">256 colours of three bytes for <see cref="PixelLayout.Palette"/>, else empty.</param>
    /// <exception cref="ArgumentException">The lengths do not fit the size and the layout.</exception>
    public static DecodedImage FromPixels(
        int width, int height, PixelLayout layout, ReadOnlySpan<byte> pixels, ReadOnlySpan<byte> palette = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if (pixels.Length != (long)width * height * BytesOf(layout))
        {
            throw new ArgumentException(
                $"{pixels.Length} bytes are not a {layout} image of {width} x {height} pixels.", nameof(pixels));
        }

        if (palette.Length != (layout == PixelLayout.Palette ? 768 : 0))
        {
            throw new ArgumentException($"A {layout} image cannot have a palette of {palette.Length} bytes.", nameof(palette));
        }

        var image = Rent("in memory", width, height, layout, palette.IsEmpty ? null : palette.ToArray());
        pixels.CopyTo(image.Writable);
        return image;
    }

    /// <summary>
    /// This image with every pixel converted to red, green, blue, as image loaders do that hand out RGB only: alpha is
    /// dropped, palette indices are looked up, inks are converted, 16-bit grey is cut off at 255.
    /// </summary>
    public DecodedImage ToRgb()
    {
        var rgb = Rent(Name, Width, Height, PixelLayout.Rgb, null);
        rgb.IsTruncated = IsTruncated;
        ColorConversion.ToRgb(Layout, Pixels, Palette, rgb.Writable);
        return rgb;
    }

    /// <summary>The same as <see cref="ToRgb"/>, in the same memory where there is room for it; this image is spent.</summary>
    internal DecodedImage IntoRgb()
    {
        switch (Layout)
        {
            case PixelLayout.Rgb:
                return this;
            case PixelLayout.Rgba or PixelLayout.Cmyk:
                ColorConversion.ToRgb(Layout, Pixels, [], Writable);
                return Become(PixelLayout.Rgb);
            default:
                using (this)
                {
                    return ToRgb();
                }
        }
    }

    /// <summary>Gives the memory back.</summary>
    public void Dispose()
    {
        Interlocked.Exchange(ref _large, null)?.Dispose();
        if (Interlocked.Exchange(ref _buffer, null) is { } buffer)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>An image whose pixels are still to be written.</summary>
    internal static DecodedImage Rent(string name, int width, int height, PixelLayout layout, byte[]? palette)
    {
        var length = checked((width * height * BytesOf(layout)) + Padding);
        return length < LeastFromSystem
            ? new(name, width, height, layout, ArrayPool<byte>.Shared.Rent(length), null, palette)
            : new(name, width, height, layout, null, new SystemMemory(length), palette);
    }

    /// <summary>The same memory as an image whose pixels the caller has moved to another layout; this image is spent.</summary>
    internal DecodedImage Become(PixelLayout layout, byte[]? palette = null) =>
        new(Name, Width, Height, layout, Interlocked.Exchange(ref _buffer, null), Interlocked.Exchange(ref _large, null), palette)
        {
            IsTruncated = IsTruncated,
        };

    internal ReadOnlySpan<ushort> Grey16() => MemoryMarshal.Cast<byte, ushort>(Pixels);

    private static int BytesOf(PixelLayout layout) => layout switch
    {
        PixelLayout.Rgb => 3,
        PixelLayout.Rgba or PixelLayout.Cmyk => 4,
        PixelLayout.Palette => 1,
        PixelLayout.Grey16 => 2,
        _ => throw new ArgumentOutOfRangeException(nameof(layout)),
    };

    /// <summary>Pages of the system, zero until they are written.</summary>
    private sealed unsafe class SystemMemory : SafeHandle
    {
        private readonly int _length;

        public SystemMemory(int length)
            : base(0, ownsHandle: true)
        {
            _length = length;
            SetHandle((nint)NativeMemory.AllocZeroed((nuint)length));
        }

        public override bool IsInvalid => handle == 0;

        public Span<byte> Span => IsClosed ? throw new ObjectDisposedException(nameof(DecodedImage)) : new((void*)handle, _length);

        protected override bool ReleaseHandle()
        {
            NativeMemory.Free((void*)handle);
            return true;
        }
    }
}

/// <summary>
/// How the pixels of a <see cref="DecodedImage"/> are stored. Grey images are stored as <see cref="Rgb"/> and grey
/// images with alpha as <see cref="Rgba"/>: resampling treats channels alike, so this changes no byte of a result.
/// </summary>
public enum PixelLayout
{
    /// <summary>Three bytes a pixel: red, green, blue.</summary>
    Rgb,

    /// <summary>Four bytes a pixel: red, green, blue, alpha (not premultiplied).</summary>
    Rgba,

    /// <summary>Four bytes a pixel: cyan, magenta, yellow, black, 255 = full ink.</summary>
    Cmyk,

    /// <summary>One byte a pixel: the index of a colour in <see cref="DecodedImage.Palette"/>.</summary>
    Palette,

    /// <summary>Two bytes a pixel in the machine's byte order: 16-bit grey.</summary>
    Grey16,
}
