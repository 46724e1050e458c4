using System.Buffers.Binary;
using System.IO.Compression;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Data.Shapes;

/// <summary>Writes 8-bit RGB images as PNG, the same bytes on every machine that has the same zlib.</summary>
internal static class PngEncoder
{
    private const int Channels = 3;

    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    /// <summary>Encodes an image.</summary>
    /// <param name="pixels">Rows of pixels of red, green and blue.</param>
    /// <param name="width">Pixels in a row.</param>
    /// <param name="height">Rows.</param>
    public static byte[] Encode(ReadOnlySpan<byte> pixels, int width, int height)
    {
        using var file = new MemoryStream();
        file.Write(Signature);
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (8, 2);
        WriteChunk(file, "IHDR"u8, header);
        WriteChunk(file, "IDAT"u8, Compress(pixels, width * Channels));
        WriteChunk(file, "IEND"u8, []);
        return file.ToArray();
    }

    // Each row holds the differences to the pixel on the left (filter 1), which compress better than the pixels.
    private static byte[] Compress(ReadOnlySpan<byte> pixels, int stride)
    {
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Fastest))
        {
            var row = new byte[1 + stride];
            row[0] = 1;
            for (var start = 0; start < pixels.Length; start += stride)
            {
                for (var index = 0; index < stride; index++)
                {
                    var left = index < Channels ? 0 : pixels[start + index - Channels];
                    row[1 + index] = (byte)(pixels[start + index] - left);
                }

                zlib.Write(row);
            }
        }

        return compressed.ToArray();
    }

    private static void WriteChunk(MemoryStream file, ReadOnlySpan<byte> type, ReadOnlySpan<byte> content)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, content.Length);
        file.Write(number);
        file.Write(type);
        file.Write(content);
        byte[] covered = [.. type, .. content];
        BinaryPrimitives.WriteUInt32BigEndian(number, Crc32.Update(0, covered));
        file.Write(number);
    }
}
