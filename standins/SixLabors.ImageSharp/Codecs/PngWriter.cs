using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.InteropServices;
using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp.Codecs;

/// <summary>Encodes PNG of 8 bits a sample: RGB for <see cref="Rgb24"/>, else RGBA.</summary>
internal static class PngWriter
{
    private const byte Rgb = 2, Rgba = 6;

    public static void Write<TPixel>(Stream stream, ReadOnlySpan<TPixel> pixels, int width, int height)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        var channels = typeof(TPixel) == typeof(Rgb24) ? 3 : 4;
        stream.Write(PngReader.Signature);
        Span<byte> header = stackalloc byte[13];
        header.Clear();
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], height);
        header[8] = 8;
        header[9] = channels == 3 ? Rgb : Rgba;
        WriteChunk(stream, "IHDR"u8, header);

        using var compressed = new MemoryStream();
        using (var deflater = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
        {
            WriteRows(deflater, pixels, width, channels);
        }

        WriteChunk(stream, "IDAT"u8, compressed.GetBuffer().AsSpan(0, (int)compressed.Length));
        WriteChunk(stream, "IEND"u8, []);
    }

    private static void WriteRows<TPixel>(ZLibStream deflater, ReadOnlySpan<TPixel> pixels, int width, int channels)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        var row = new byte[width * channels];
        var above = new byte[row.Length];
        var best = new byte[row.Length + 1];
        var candidate = new byte[row.Length + 1];
        for (; !pixels.IsEmpty; pixels = pixels[width..])
        {
            ToBytes(pixels[..width], row, channels);
            var smallest = long.MaxValue;
            for (byte filter = 0; filter <= PngFilter.Highest; filter++)
            {
                // The filter with the smallest differences usually compresses best.
                var size = Filter(filter, row, above, channels, candidate);
                if (size < smallest)
                {
                    smallest = size;
                    (best, candidate) = (candidate, best);
                }
            }

            deflater.Write(best);
            (row, above) = (above, row);
        }
    }

    private static long Filter(byte filter, byte[] row, byte[] above, int channels, byte[] filtered)
    {
        long size = 0;
        filtered[0] = filter;
        for (var i = 0; i < row.Length; i++)
        {
            int left = i < channels ? 0 : row[i - channels], corner = i < channels ? 0 : above[i - channels];
            filtered[i + 1] = (byte)(row[i] - PngFilter.Predict(filter, left, above[i], corner));
            size += Math.Abs((int)(sbyte)filtered[i + 1]);
        }

        return size;
    }

    private static void ToBytes<TPixel>(ReadOnlySpan<TPixel> pixels, Span<byte> row, int channels)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        if (channels == 3 || typeof(TPixel) == typeof(Rgba32))
        {
            MemoryMarshal.AsBytes(pixels).CopyTo(row);
            return;
        }

        var target = MemoryMarshal.Cast<byte, Rgba32>(row);
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i].ToRgba32(ref target[i]);
        }
    }

    private static void WriteChunk(Stream stream, ReadOnlySpan<byte> type, ReadOnlySpan<byte> content)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, content.Length);
        stream.Write(number);
        stream.Write(type);
        stream.Write(content);
        BinaryPrimitives.WriteUInt32BigEndian(number, PngCrc.Of(type, content));
        stream.Write(number);
    }
}
