using RegCache.Lab.Data.Images.Decoding;

namespace RegCache.Lab.Data.Images;

/// <summary>
/// Decodes JPEG, PNG and WebP files, told apart by their content, to the bytes that Pillow 9.4 gives for them. JPEG is
/// decoded by the system's libjpeg-turbo and WebP by its libwebp; where one is missing ImageSharp decodes and a line on
/// the error stream says that pixels may differ. The EXIF orientation is ignored, as in the published pipelines.
/// </summary>
public static class ImageDecoder
{
    private static readonly FallbackDecoder Fallback = new(Console.Error);

    /// <summary>Reads and decodes a file.</summary>
    /// <exception cref="UserException">
    /// The file cannot be read, is empty, truncated, damaged, too large or none of the three formats.
    /// </exception>
    public static DecodedImage Load(string path)
    {
        using var file = FileContent.Read(path);
        return Decode(file.Bytes, path);
    }

    /// <summary>Decodes a file that is in memory.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="name">What errors call it: a path, or a shard and a member.</param>
    /// <exception cref="UserException">The file is empty, truncated, damaged, too large or none of the three formats.</exception>
    public static DecodedImage Decode(ReadOnlySpan<byte> file, string name)
    {
        if (file.IsEmpty)
        {
            throw new UserException($"The image {name} is empty: fetch it again or remove it.");
        }

        if (JpegDecoder.Recognises(file))
        {
            return TurboJpeg.Instance is { } jpeg
                ? JpegDecoder.Decode(jpeg, file, name)
                : Fallback.Decode(file, name, "libturbojpeg");
        }

        if (WebPDecoder.Recognises(file))
        {
            return LibWebP.Instance is { } webp
                ? WebPDecoder.Decode(webp, file, name)
                : Fallback.Decode(file, name, "libwebp");
        }

        if (PngDecoder.Recognises(file))
        {
            return PngDecoder.Decode(file, name);
        }

        throw new UserException($"{name} is not a JPEG, PNG or WebP image: convert it or remove it.");
    }
}
