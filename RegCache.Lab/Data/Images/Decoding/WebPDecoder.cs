using System.Buffers.Binary;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>Decodes WebP, of animations the first frame.</summary>
internal static class WebPDecoder
{
    private const int NotEnoughData = 7;
    private const int FrameHeaderLength = 16;

    public static bool Recognises(ReadOnlySpan<byte> file) =>
        file.Length >= 12 && file.StartsWith("RIFF"u8) && file[8..].StartsWith("WEBP"u8);

    public static DecodedImage Decode(LibWebP library, ReadOnlySpan<byte> file, string name)
    {
        var status = library.ReadHeader(file, out var width, out var height, out var alpha, out var animated);
        if (status == NotEnoughData)
        {
            throw DecodingError.Truncated(name, "WebP");
        }

        if (status != 0)
        {
            throw DecodingError.Damaged(name, "WebP", "its header is not valid");
        }

        DecodingError.CheckSize(name, width, height);
        var image = DecodedImage.Rent(name, width, height, alpha ? PixelLayout.Rgba : PixelLayout.Rgb, null);
        var complete = false;
        try
        {
            var stride = width * image.BytesPerPixel;
            complete = animated
                ? DecodeFirstFrame(library, file, image, stride)
                : library.Decode(file, image.Writable, stride, alpha);
            return complete ? image : throw DecodingError.Damaged(name, "WebP", "its pixels cannot be decoded");
        }
        finally
        {
            if (!complete)
            {
                image.Dispose();
            }
        }
    }

    /// <summary>The first frame of an animation, drawn on an empty canvas.</summary>
    private static bool DecodeFirstFrame(LibWebP library, ReadOnlySpan<byte> file, DecodedImage canvas, int stride)
    {
        var frame = FirstFrame(file);
        if (frame.Length <= FrameHeaderLength)
        {
            return false;
        }

        var left = 2 * Read24(frame);
        var top = 2 * Read24(frame[3..]);
        var width = 1 + Read24(frame[6..]);
        var height = 1 + Read24(frame[9..]);
        var content = frame[FrameHeaderLength..];
        // libwebp writes as many pixels as the frame's own data say, so these must be the ones that fit the canvas.
        if (left + width > canvas.Width || top + height > canvas.Height
            || library.ReadHeader(content, out var codedWidth, out var codedHeight, out _, out _) != 0
            || codedWidth != width || codedHeight != height)
        {
            return false;
        }

        var pixels = canvas.Writable;
        pixels.Clear();
        var start = (top * stride) + (left * canvas.BytesPerPixel);
        return library.Decode(content, pixels[start..], stride, canvas.Layout == PixelLayout.Rgba);
    }

    private static ReadOnlySpan<byte> FirstFrame(ReadOnlySpan<byte> file)
    {
        var position = 12;
        while (position + 8 <= file.Length)
        {
            var length = BinaryPrimitives.ReadUInt32LittleEndian(file[(position + 4)..]);
            var end = position + 8 + (long)length;
            if (end > file.Length)
            {
                break;
            }

            if (file[position..].StartsWith("ANMF"u8))
            {
                return file[(position + 8)..(int)end];
            }

            // Chunks are padded to an even length.
            position = (int)Math.Min(end + (length & 1), file.Length);
        }

        return [];
    }

    private static int Read24(ReadOnlySpan<byte> bytes) => bytes[0] | (bytes[1] << 8) | (bytes[2] << 16);
}
