using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>Turns the stored samples of a PNG row into pixels of the image's layout.</summary>
internal static class PngSamples
{
    /// <summary>Expands one row; 16-bit colours keep their high byte, as in Pillow.</summary>
    public static void Expand(PngHeader header, ReadOnlySpan<byte> row, Span<byte> pixels)
    {
        var sampleBytes = header.Depth == 16 ? 2 : 1;
        switch (header.Color)
        {
            case PngColor.Palette:
                Unpack(row, pixels, header.Depth, 1, 1);
                break;
            case PngColor.Grey when header.Depth == 16:
                SwapBytes(row, MemoryMarshal.Cast<byte, ushort>(pixels));
                break;
            case PngColor.Grey when header.Depth == 1:
                Unpack(row, pixels, 1, 255, 1);
                break;
            case PngColor.Grey:
                Unpack(row, pixels, header.Depth, 255 / ((1 << header.Depth) - 1), 3);
                break;
            case PngColor.GreyAlpha:
                for (int i = 0, o = 0; o < pixels.Length; i += 2 * sampleBytes, o += 4)
                {
                    pixels.Slice(o, 3).Fill(row[i]);
                    pixels[o + 3] = row[i + sampleBytes];
                }

                break;
            default:
                for (int i = 0, o = 0; o < pixels.Length; i += sampleBytes, o++)
                {
                    pixels[o] = row[i];
                }

                break;
        }
    }

    /// <summary>Unpacks samples of 1 to 8 bits, scales them and repeats each <paramref name="copies"/> times.</summary>
    private static void Unpack(ReadOnlySpan<byte> row, Span<byte> pixels, int depth, int scale, int copies)
    {
        var mask = (1 << depth) - 1;
        for (int i = 0, bit = 0; i < pixels.Length; i += copies, bit += depth)
        {
            var sample = (row[bit >> 3] >> (8 - depth - (bit & 7))) & mask;
            pixels.Slice(i, copies).Fill((byte)(sample * scale));
        }
    }

    private static void SwapBytes(ReadOnlySpan<byte> row, Span<ushort> pixels)
    {
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = BinaryPrimitives.ReadUInt16BigEndian(row[(2 * i)..]);
        }
    }
}
