using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>
/// Decodes PNG and GIF, also to the samples that a file holds. Pillow resizes palette indices and 16-bit grey in ways of
/// their own, whereas SkiaSharp gives colours of 8 bits only. So it is handed a copy of such a file whose header names
/// another kind of image over the same bytes: palette indices are then read as grey values, and 16-bit grey as 8-bit grey
/// (the high byte) with alpha (the low byte).
/// </summary>
internal static class SampleDecoder
{
    // Deflate cannot make data more than 1032 times smaller: a file that claims more is incomplete.
    private const int LargestDeflateRatio = 1032;

    private const int PngGrey = 0, PngRgb = 2, PngPalette = 3, PngGreyAlpha = 4, PngRgba = 6;
    private const int PngWidth = 16, PngHeight = 20, PngDepth = 24, PngColor = 25, PngHeaderSum = 29, PngHeaderEnd = 33;

    // CRC-32 is linear: the same change of the header always changes its check sum by the same bits. Changed like this,
    // a header that was damaged still does not fit its sum.
    private const uint PaletteToGreySum = 0x12B5AFEE, Grey16ToGreyAlphaSum = 0xDFF24B14;

    /// <summary>Decodes PNG of every colour type and depth: no gamma, no background, no transparency table.</summary>
    /// <exception cref="UserException">The file is truncated, damaged or too large.</exception>
    public static DecodedImage DecodePng(ReadOnlySpan<byte> file, string name, DecodingOptions options)
    {
        if (file.Length < PngHeaderEnd)
        {
            throw DecodingError.Truncated(name, "PNG");
        }

        int depth = file[PngDepth], color = file[PngColor];
        CheckPngSize(file, name, depth, color, options);
        switch (color, depth)
        {
            case (PngPalette, 1 or 2 or 4 or 8):
                // Skia spreads grey of few bits over 0 to 255.
                var indices = DecodePngAs(file, name, PngGrey, depth, PaletteToGreySum, options);
                return Indexed(indices, 255 / ((1 << depth) - 1), PngColors(file));
            case (PngGrey, 16):
                return Grey16(DecodePngAs(file, name, PngGreyAlpha, 8, Grey16ToGreyAlphaSum, options));
        }

        var image = SkiaDecoder.DecodeRgba(file, name, "PNG", options, out _);
        return (color, depth) switch
        {
            // Black and white is resized like palette indices.
            (PngGrey, 1) => Indexed(image, 1, BlackAndWhite()),
            (PngGrey or PngRgb, _) => SkiaDecoder.DropAlpha(image),
            (PngGreyAlpha or PngRgba, _) => image,
            _ => throw DecodingError.TruncatedOrDamaged(name, "PNG"),
        };
    }

    /// <summary>Decodes the first frame of a GIF; what it leaves of the canvas has the transparent colour, or the first.</summary>
    /// <exception cref="UserException">The file is truncated, damaged or too large.</exception>
    public static DecodedImage DecodeGif(ReadOnlySpan<byte> file, string name, DecodingOptions options)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(file.Length);
        try
        {
            var changed = buffer.AsSpan(0, file.Length);
            file.CopyTo(changed);
            var colors = TakeGifColors(changed, out var transparent);
            var image = SkiaDecoder.DecodeRgba(changed, name, "GIF", options, out _);
            var pixels = image.Writable;
            for (var i = 0; i < pixels.Length; i += 4)
            {
                if (pixels[i + 3] == 0)
                {
                    pixels.Slice(i, 3).Fill(transparent);
                }
            }

            // A palette of greys in order is no palette to Pillow.
            return colors.AsSpan().SequenceEqual(GreyRamp()) ? SkiaDecoder.DropAlpha(image) : Indexed(image, 1, colors);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>The palette of images of one bit: black, and white for every other index.</summary>
    public static byte[] BlackAndWhite() => [0, 0, 0, .. Enumerable.Repeat(byte.MaxValue, 765)];

    private static void CheckPngSize(ReadOnlySpan<byte> file, string name, int depth, int color, DecodingOptions options)
    {
        long width = BinaryPrimitives.ReadInt32BigEndian(file[PngWidth..]);
        long height = BinaryPrimitives.ReadInt32BigEndian(file[PngHeight..]);
        DecodingError.CheckSize(name, width, height, options);
        var channels = color switch
        {
            PngGrey or PngPalette => 1,
            PngGreyAlpha => 2,
            PngRgb => 3,
            PngRgba => 4,
            _ => throw DecodingError.TruncatedOrDamaged(name, "PNG"),
        };
        if (width * height * channels * depth / 8 > (long)file.Length * LargestDeflateRatio)
        {
            throw DecodingError.Truncated(name, "PNG");
        }
    }

    private static DecodedImage DecodePngAs(
        ReadOnlySpan<byte> file, string name, int color, int depth, uint sumChange, DecodingOptions options)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(file.Length);
        try
        {
            var changed = buffer.AsSpan(0, file.Length);
            file.CopyTo(changed);
            changed[PngDepth] = (byte)depth;
            changed[PngColor] = (byte)color;
            var sum = changed[PngHeaderSum..];
            BinaryPrimitives.WriteUInt32BigEndian(sum, BinaryPrimitives.ReadUInt32BigEndian(sum) ^ sumChange);
            return SkiaDecoder.DecodeRgba(changed, name, "PNG", options, out _);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static DecodedImage Indexed(DecodedImage image, int step, byte[] colors)
    {
        var pixels = image.Writable;
        for (int i = 0, o = 0; i < pixels.Length; i += 4, o++)
        {
            pixels[o] = (byte)(pixels[i] / step);
        }

        return image.Become(PixelLayout.Palette, colors);
    }

    private static DecodedImage Grey16(DecodedImage image)
    {
        var pixels = image.Writable;
        var samples = MemoryMarshal.Cast<byte, ushort>(pixels);
        for (int i = 0, o = 0; i < pixels.Length; i += 4, o++)
        {
            samples[o] = (ushort)((pixels[i] << 8) | pixels[i + 3]);
        }

        return image.Become(PixelLayout.Grey16);
    }

    private static byte[] PngColors(ReadOnlySpan<byte> file)
    {
        var position = PngHeaderEnd;
        while (position + 8 <= file.Length && !file[(position + 4)..].StartsWith("IDAT"u8))
        {
            var length = BinaryPrimitives.ReadUInt32BigEndian(file[position..]);
            var start = position + 8;
            if (length > file.Length - start)
            {
                break;
            }

            if (file[(position + 4)..].StartsWith("PLTE"u8))
            {
                return WithColors(file.Slice(start, (int)length));
            }

            position = start + (int)length + 4;
        }

        return GreyRamp();
    }

    /// <summary>
    /// Puts a grey ramp in the place of the first frame's colours, so that its indices come out, and takes the transparency
    /// away, because Skia makes transparent pixels black, where Pillow shows their colour.
    /// </summary>
    private static byte[] TakeGifColors(Span<byte> file, out byte transparent)
    {
        transparent = 0;
        var table = Table(file, 10, 13);
        for (var position = 13 + table.Length; position + 10 <= file.Length;)
        {
            var block = file[position..];
            if (block[0] == ',')
            {
                var own = Table(file, position + 9, position + 10);
                table = own.IsEmpty ? table : own;
                break;
            }

            if (block[0] != '!')
            {
                break;
            }

            // A graphic control block: flags at 3, of which the lowest says that the index at 6 is transparent.
            if (block[1] == 0xF9 && (block[3] & 1) != 0)
            {
                block[3] &= 0xFE;
                transparent = block[6];
            }

            for (position += 2; position < file.Length && file[position] != 0; position += 1 + file[position])
            {
            }

            position++;
        }

        var colors = WithColors(table);
        GreyRamp().AsSpan(0, table.Length).CopyTo(table);
        return colors;

        static Span<byte> Table(Span<byte> file, int flags, int start) =>
            flags < file.Length && (file[flags] & 0x80) != 0 && start + (6 << (file[flags] & 7)) <= file.Length
                ? file.Slice(start, 6 << (file[flags] & 7))
                : [];
    }

    /// <summary>A palette of 256 colours: those beyond the stored ones are Pillow's initial palette, a grey ramp.</summary>
    private static byte[] WithColors(ReadOnlySpan<byte> stored)
    {
        var palette = GreyRamp();
        stored[..Math.Min(stored.Length, palette.Length)].CopyTo(palette);
        return palette;
    }

    private static byte[] GreyRamp()
    {
        var ramp = new byte[768];
        for (var i = 0; i < ramp.Length; i++)
        {
            ramp[i] = (byte)(i / 3);
        }

        return ramp;
    }
}
