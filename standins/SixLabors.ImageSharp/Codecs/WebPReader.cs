using System.Runtime.InteropServices;
using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp.Codecs;

/// <summary>Decodes WebP with the system's libwebp.</summary>
internal static unsafe partial class WebPReader
{
    private const string Library = "libwebp.so.7";

    public static Size ReadSize(ReadOnlySpan<byte> file)
    {
        fixed (byte* data = file)
        {
            return GetInfo(data, (nuint)file.Length, out var width, out var height) != 0
                ? new Size(width, height)
                : throw Invalid();
        }
    }

    public static Rgba32[] Read(ReadOnlySpan<byte> file, Size size)
    {
        var pixels = new Rgba32[checked(size.Width * size.Height)];
        fixed (byte* data = file)
        fixed (Rgba32* target = pixels)
        {
            var length = checked((nuint)pixels.Length * 4);
            return DecodeInto(data, (nuint)file.Length, (byte*)target, length, size.Width * 4) != null
                ? pixels
                : throw Invalid();
        }
    }

    private static InvalidImageContentException Invalid() => new("The WebP data are not valid.");

    [LibraryImport(Library, EntryPoint = "WebPGetInfo")]
    private static partial int GetInfo(byte* data, nuint length, out int width, out int height);

    [LibraryImport(Library, EntryPoint = "WebPDecodeRGBAInto")]
    private static partial byte* DecodeInto(byte* data, nuint length, byte* target, nuint targetLength, int stride);
}
