using System.Runtime.InteropServices;
using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp.Codecs;

/// <summary>Decodes JPEG with the system's TurboJPEG.</summary>
internal static unsafe partial class JpegReader
{
    private const string Library = "libturbojpeg.so.0";
    private const int FormatRgba = 7, FormatCmyk = 11;
    private const int SpaceCmyk = 3, SpaceYcck = 4;
    private const int WarningCode = 0;

    public static Size ReadSize(ReadOnlySpan<byte> file)
    {
        var handle = Create();
        try
        {
            ReadHeader(handle, file, out var size);
            return size;
        }
        finally
        {
            _ = Destroy(handle);
        }
    }

    public static Rgba32[] Read(ReadOnlySpan<byte> file, Size size)
    {
        var handle = Create();
        try
        {
            var space = ReadHeader(handle, file, out _);
            var cmyk = space is SpaceCmyk or SpaceYcck;
            var pixels = new Rgba32[checked(size.Width * size.Height)];
            fixed (byte* data = file)
            fixed (Rgba32* target = pixels)
            {
                var code = Decompress(
                    handle, data, new CULong((nuint)file.Length), (byte*)target, size.Width, size.Width * 4, size.Height,
                    cmyk ? FormatCmyk : FormatRgba, 0);
                if (code != 0 && GetErrorCode(handle) != WarningCode)
                {
                    throw Invalid(handle);
                }
            }

            if (cmyk)
            {
                ToRgb(pixels);
            }

            return pixels;
        }
        finally
        {
            _ = Destroy(handle);
        }
    }

    /// <summary>CMYK files store inks inverted, so that colours are products.</summary>
    private static void ToRgb(Span<Rgba32> pixels)
    {
        foreach (ref var pixel in pixels)
        {
            pixel = new Rgba32(
                (byte)(pixel.R * pixel.A / 255), (byte)(pixel.G * pixel.A / 255), (byte)(pixel.B * pixel.A / 255));
        }
    }

    private static int ReadHeader(nint handle, ReadOnlySpan<byte> file, out Size size)
    {
        int width = 0, height = 0, space = -1;
        fixed (byte* data = file)
        {
            _ = DecompressHeader(
                handle, data, new CULong((nuint)file.Length), out width, out height, out _, out space);
        }

        // An unusual chroma subsampling is an error here, but not when decoding; width and height are set then.
        size = new Size(width, height);
        return width > 0 && height > 0 ? space : throw Invalid(handle);
    }

    private static InvalidImageContentException Invalid(nint handle) =>
        new(Marshal.PtrToStringUTF8(GetErrorText(handle)) ?? "The JPEG data are not valid.");

    [LibraryImport(Library, EntryPoint = "tjInitDecompress")]
    private static partial nint Create();

    [LibraryImport(Library, EntryPoint = "tjDestroy")]
    private static partial int Destroy(nint handle);

    [LibraryImport(Library, EntryPoint = "tjDecompressHeader3")]
    private static partial int DecompressHeader(
        nint handle, byte* data, CULong length, out int width, out int height, out int subsampling, out int space);

    [LibraryImport(Library, EntryPoint = "tjDecompress2")]
    private static partial int Decompress(
        nint handle, byte* data, CULong length, byte* target, int width, int pitch, int height, int format, int flags);

    [LibraryImport(Library, EntryPoint = "tjGetErrorCode")]
    private static partial int GetErrorCode(nint handle);

    [LibraryImport(Library, EntryPoint = "tjGetErrorStr2")]
    private static partial nint GetErrorText(nint handle);
}
