using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp.Codecs;

/// <summary>Tells formats apart by their first bytes.</summary>
internal static class Decoder
{
    public static Size ReadSize(ReadOnlySpan<byte> file) =>
        IsPng(file) ? PngReader.ReadSize(file)
        : IsJpeg(file) ? Guarded(file, JpegReader.ReadSize)
        : IsWebP(file) ? Guarded(file, WebPReader.ReadSize)
        : throw Unknown();

    public static Rgba32[] Decode(ReadOnlySpan<byte> file, out Size size)
    {
        size = ReadSize(file);
        return IsPng(file) ? PngReader.Read(file)
            : IsJpeg(file) ? JpegReader.Read(file, size)
            : WebPReader.Read(file, size);
    }

    private static bool IsPng(ReadOnlySpan<byte> file) => file.StartsWith(PngReader.Signature);

    private static bool IsJpeg(ReadOnlySpan<byte> file) => file.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]);

    private static bool IsWebP(ReadOnlySpan<byte> file) =>
        file.Length >= 12 && file.StartsWith("RIFF"u8) && file[8..].StartsWith("WEBP"u8);

    private static Size Guarded(ReadOnlySpan<byte> file, SizeReader read)
    {
        try
        {
            return read(file);
        }
        catch (DllNotFoundException e)
        {
            throw new InvalidImageContentException($"The library for this format is not installed ({e.Message})", e);
        }
    }

    private static UnknownImageFormatException Unknown() =>
        new("Image cannot be loaded. It is neither PNG, JPEG nor WebP.");

    private delegate Size SizeReader(ReadOnlySpan<byte> file);
}
