using System.Buffers.Binary;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>Decodes JPEG to the bytes that Pillow gets from the same libjpeg-turbo.</summary>
internal static class JpegDecoder
{
    private const byte EndOfImage = 0xD9;

    /// <summary>Decodes with the system's library or, where it is null, with the copy inside SkiaSharp.</summary>
    /// <exception cref="UserException">The file is truncated, damaged or too large.</exception>
    public static DecodedImage Decode(TurboJpeg? library, ReadOnlySpan<byte> file, string name)
    {
        if (library is null)
        {
            // Skia does not look for the end of the image; Pillow refuses files without it.
            return IsTruncated(file) ? throw DecodingError.Truncated(name, "JPEG") : SkiaDecoder.Decode(file, name, "JPEG");
        }

        if (!library.ReadHeader(file, out var width, out var height, out var space, out var error))
        {
            throw Unusable(file, name, error);
        }

        if (space < 0)
        {
            throw DecodingError.Unsupported(name, "a JPEG colour space that is neither grey, RGB, YCbCr, CMYK nor YCCK");
        }

        DecodingError.CheckSize(name, width, height);
        var cmyk = space is TurboJpeg.SpaceCmyk or TurboJpeg.SpaceYcck;
        var image = DecodedImage.Rent(name, width, height, cmyk ? PixelLayout.Cmyk : PixelLayout.Rgb, null);
        try
        {
            Decompress(library, file, name, image);
            if (cmyk)
            {
                // By Adobe's convention inks are stored inverted; Pillow takes it as given.
                Invert(image.Writable);
            }

            return image;
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    private static void Decompress(TurboJpeg library, ReadOnlySpan<byte> file, string name, DecodedImage image)
    {
        var format = image.Layout == PixelLayout.Cmyk ? TurboJpeg.FormatCmyk : TurboJpeg.FormatRgb;
        switch (library.Decompress(file, image.Writable, image.Width, image.Height, format, out var error))
        {
            case TurboJpeg.Outcome.Failure:
                throw Unusable(file, name, error);

            // Like Pillow: odd but complete data are decoded as they are, incomplete data are refused.
            case TurboJpeg.Outcome.Warning when IsTruncated(file):
                throw Unusable(file, name, error);
        }
    }

    private static UserException Unusable(ReadOnlySpan<byte> file, string name, string error) =>
        IsTruncated(file)
            ? DecodingError.Truncated(name, "JPEG")
            : DecodingError.Damaged(name, "JPEG", error);

    private static void Invert(Span<byte> inks)
    {
        for (var i = 0; i < inks.Length; i++)
        {
            inks[i] = (byte)~inks[i];
        }
    }

    /// <summary>Whether the file ends before its end-of-image marker, which is how an incomplete file is known.</summary>
    private static bool IsTruncated(ReadOnlySpan<byte> jpeg)
    {
        var position = 2;
        while (NextMarker(jpeg, ref position, out var marker))
        {
            if (marker == EndOfImage)
            {
                return false;
            }

            SkipSegment(jpeg, ref position, marker);
        }

        return true;
    }

    /// <summary>Moves behind the next marker, over the entropy-coded data and fill bytes in front of it.</summary>
    private static bool NextMarker(ReadOnlySpan<byte> jpeg, ref int position, out byte marker)
    {
        while (position < jpeg.Length)
        {
            var found = jpeg[position..].IndexOf((byte)0xFF);
            if (found < 0 || position + found + 1 >= jpeg.Length)
            {
                break;
            }

            position += found + 1;
            if (jpeg[position] is not (0x00 or 0xFF))
            {
                marker = jpeg[position++];
                return true;
            }
        }

        marker = 0;
        return false;
    }

    private static void SkipSegment(ReadOnlySpan<byte> jpeg, ref int position, byte marker)
    {
        // Restart and start markers stand alone; all others are followed by their segment's length.
        if (marker is not (0x01 or (>= 0xD0 and <= 0xD8)) && position + 2 <= jpeg.Length)
        {
            position += Math.Max(2, (int)BinaryPrimitives.ReadUInt16BigEndian(jpeg[position..]));
        }
    }
}
