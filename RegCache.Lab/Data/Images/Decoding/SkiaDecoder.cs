using SkiaSharp;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>
/// Decodes with SkiaSharp, which carries libjpeg-turbo, libpng, libwebp and readers of GIF and BMP. Colours are the
/// file's own: no colour space is asked for, so none is converted, and alpha is not multiplied in.
/// </summary>
internal static unsafe class SkiaDecoder
{
    /// <summary>Decodes to red, green, blue, and alpha where the file has it; of animations the first frame.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="format">The format that its first bytes name.</param>
    /// <param name="options">Which files are taken.</param>
    /// <exception cref="UserException">The file is truncated, damaged or too large, or SkiaSharp's library is missing.</exception>
    public static DecodedImage Decode(ReadOnlySpan<byte> file, string name, string format, DecodingOptions options)
    {
        var image = DecodeRgba(file, name, format, options, out var opaque);
        return opaque ? DropAlpha(image) : image;
    }

    /// <summary>Decodes to red, green, blue, alpha.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="format">The format that its first bytes name.</param>
    /// <param name="options">Which files are taken.</param>
    /// <param name="opaque">Whether the file has no alpha.</param>
    /// <exception cref="UserException">The file is truncated, damaged or too large, or SkiaSharp's library is missing.</exception>
    public static DecodedImage DecodeRgba(ReadOnlySpan<byte> file, string name, string format, DecodingOptions options, out bool opaque)
    {
        fixed (byte* content = file)
        {
            using var codec = Open(content, file.Length, format) ?? throw DecodingError.TruncatedOrDamaged(name, format);
            var (width, height) = (codec.Info.Width, codec.Info.Height);
            DecodingError.CheckSize(name, width, height, options);
            opaque = codec.Info.IsOpaque;
            var image = DecodedImage.Rent(name, width, height, PixelLayout.Rgba, null);
            SKCodecResult result;
            fixed (byte* pixels = image.Writable)
            {
                result = codec.GetPixels(
                    new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul),
                    (nint)pixels,
                    // Otherwise Skia writes to all of an incomplete image, and only then does it take memory.
                    new SKCodecOptions(image.IsZeroed ? SKZeroInitialized.Yes : SKZeroInitialized.No));
            }

            if (result == SKCodecResult.Success)
            {
                return image;
            }

            image.Dispose();
            throw DecodingError.TruncatedOrDamaged(name, format);
        }
    }

    /// <summary>Moves the colours together in the same memory.</summary>
    public static DecodedImage DropAlpha(DecodedImage rgba)
    {
        ColorConversion.DropAlpha(rgba.Pixels, rgba.Writable);
        return rgba.Become(PixelLayout.Rgb);
    }

    private static SKCodec? Open(byte* content, int length, string format)
    {
        try
        {
            using var data = SKData.Create((nint)content, length);
            return SKCodec.Create(data);
        }
        catch (Exception e) when (e is TypeLoadException or TypeInitializationException)
        {
            throw new UserException(
                $"SkiaSharp's native library, which decodes {format} files, cannot be loaded: build the kit on this kind of machine.", e)
            {
                ConcernsAllInput = true,
            };
        }
    }
}
