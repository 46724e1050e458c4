using System.Buffers;
using System.IO.Compression;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>
/// Decodes PNG of every colour type and depth to the samples that the file holds, as Pillow does: no gamma, no
/// background, no transparency table. It is managed code because libpng reports errors by jumping over its caller's
/// frames, which managed callers must not allow, and libpng's jump-free interface applies gamma. Inflating, the bulk of
/// the work, is the run-time library's native zlib.
/// </summary>
internal static class PngDecoder
{
    // Deflate cannot make data more than 1032 times smaller: a file that claims more is incomplete.
    private const int LargestDeflateRatio = 1032;

    private static readonly (int Left, int Top, int StepX, int StepY)[] InterlacePasses =
    [
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ];

    public static bool Recognises(ReadOnlySpan<byte> file) => file.StartsWith(PngChunks.Signature);

    public static DecodedImage Decode(ReadOnlySpan<byte> file, string name)
    {
        var chunks = PngChunks.Read(file, name);
        var header = chunks.Header;
        DecodingError.CheckSize(name, header.Width, header.Height);
        var compressed = ArrayPool<byte>.Shared.Rent(chunks.DataLength);
        DecodedImage? image = null;
        try
        {
            chunks.CopyData(file, compressed);
            if (FilteredLength(header) > ((long)chunks.DataLength + 1) * LargestDeflateRatio)
            {
                throw DecodingError.Truncated(name, "PNG");
            }

            image = DecodedImage.Rent(
                name, header.Width, header.Height, header.Layout, Palette(header, chunks.Palette(file)));
            using var inflater = new ZLibStream(
                new MemoryStream(compressed, 0, chunks.DataLength, writable: false), CompressionMode.Decompress);
            foreach (var pass in Passes(header))
            {
                DecodePass(inflater, header, pass, image.Writable);
            }

            // The check sum lies behind the last row; reading on makes the inflater compare it.
            inflater.ReadByte();
            return image;
        }
        catch (EndOfStreamException)
        {
            image?.Dispose();
            throw DecodingError.Truncated(name, "PNG");
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            // The file is in memory, so whatever the inflater calls an input error is a damage of the data.
            image?.Dispose();
            throw DecodingError.Damaged(name, "PNG", e.Message);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(compressed);
        }
    }

    private static IEnumerable<(int Left, int Top, int StepX, int StepY)> Passes(PngHeader header) =>
        header.Interlaced
            ? InterlacePasses.Where(pass => pass.Left < header.Width && pass.Top < header.Height)
            : [(0, 0, 1, 1)];

    private static long FilteredLength(PngHeader header)
    {
        long total = 0;
        foreach (var pass in Passes(header))
        {
            total += Steps(header.Height - pass.Top, pass.StepY)
                * (1L + header.RowBytes(Steps(header.Width - pass.Left, pass.StepX)));
        }

        return total;
    }

    private static void DecodePass(
        ZLibStream inflater, PngHeader header, (int Left, int Top, int StepX, int StepY) pass, Span<byte> pixels)
    {
        var columns = Steps(header.Width - pass.Left, pass.StepX);
        var rowBytes = header.RowBytes(columns);
        var row = ArrayPool<byte>.Shared.Rent(rowBytes + 1);
        var previous = ArrayPool<byte>.Shared.Rent(rowBytes + 1);
        var expanded = ArrayPool<byte>.Shared.Rent(pass.StepX == 1 ? 0 : header.OutputBytes * columns);
        try
        {
            Array.Clear(previous, 0, rowBytes + 1);
            for (var y = pass.Top; y < header.Height; y += pass.StepY)
            {
                inflater.ReadExactly(row, 0, rowBytes + 1);
                var stored = row.AsSpan(1, rowBytes);
                PngFilters.Undo(row[0], stored, previous.AsSpan(1, rowBytes), header.FilterDistance);
                var target = pixels.Slice(y * header.Width * header.OutputBytes, header.Width * header.OutputBytes);
                if (pass.StepX == 1)
                {
                    PngSamples.Expand(header, stored, target);
                }
                else
                {
                    var pixelsOfPass = expanded.AsSpan(0, header.OutputBytes * columns);
                    PngSamples.Expand(header, stored, pixelsOfPass);
                    Scatter(pixelsOfPass, target[(pass.Left * header.OutputBytes)..], header.OutputBytes, pass.StepX);
                }

                (row, previous) = (previous, row);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(row);
            ArrayPool<byte>.Shared.Return(previous);
            ArrayPool<byte>.Shared.Return(expanded);
        }
    }

    private static void Scatter(ReadOnlySpan<byte> pixels, Span<byte> target, int size, int step)
    {
        for (int i = 0, o = 0; i < pixels.Length; i += size, o += size * step)
        {
            pixels.Slice(i, size).CopyTo(target[o..]);
        }
    }

    private static int Steps(int length, int step) => (length + step - 1) / step;

    private static byte[]? Palette(PngHeader header, ReadOnlySpan<byte> stored)
    {
        if (header.Layout != PixelLayout.Palette)
        {
            return null;
        }

        // Indices beyond the stored colours show Pillow's initial palette, a grey ramp.
        var palette = new byte[768];
        for (var i = 0; i < palette.Length; i++)
        {
            palette[i] = header.IsBilevel ? (byte)(i < 3 ? 0 : 255) : (byte)(i / 3);
        }

        if (!header.IsBilevel)
        {
            stored[..Math.Min(stored.Length, palette.Length)].CopyTo(palette);
        }

        return palette;
    }
}
