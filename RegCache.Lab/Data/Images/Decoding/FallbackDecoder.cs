using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>
/// Decodes with ImageSharp where a system library is missing. Its inverse DCT and chroma upsampling are not
/// libjpeg-turbo's, so pixels may differ by a few grey levels from Pillow's; the first use says so.
/// </summary>
internal sealed class FallbackDecoder(TextWriter notices)
{
    private int _said;

    /// <param name="file">The whole file.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="library">The library that is missing.</param>
    public DecodedImage Decode(ReadOnlySpan<byte> file, string name, string library)
    {
        if (Interlocked.Exchange(ref _said, 1) == 0)
        {
            notices.WriteLine(
                $"note: {library} was not found, so images are decoded by ImageSharp; pixels may differ slightly from Pillow's.");
        }

        try
        {
            var info = Image.Identify(file.ToArray()) ?? throw new UnknownImageFormatException("no known format");
            DecodingError.CheckSize(name, info.Width, info.Height);
            using var image = Image.Load<Rgba32>(file);
            var rgba = DecodedImage.Rent(name, image.Width, image.Height, PixelLayout.Rgba, null);
            image.CopyPixelDataTo(rgba.Writable);
            if (!IsOpaque(rgba.Pixels))
            {
                return rgba;
            }

            using (rgba)
            {
                return rgba.ToRgb();
            }
        }
        catch (Exception e) when (e is ImageFormatException or NotSupportedException)
        {
            throw new UserException(
                $"The image {name} cannot be decoded by ImageSharp ({e.Message.TrimEnd('.')}): install {library} or remove it.", e);
        }
    }

    private static bool IsOpaque(ReadOnlySpan<byte> rgba)
    {
        for (var i = 3; i < rgba.Length; i += 4)
        {
            if (rgba[i] != byte.MaxValue)
            {
                return false;
            }
        }

        return true;
    }
}
