using System.Buffers.Binary;
using System.IO.Compression;
using SixLabors.ImageSharp.PixelFormats;

namespace SixLabors.ImageSharp.Codecs;

/// <summary>Decodes PNG of 8 bits a sample, not interlaced.</summary>
internal static class PngReader
{
    private const int HeaderEnd = 33;

    public static ReadOnlySpan<byte> Signature => [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

    public static Size ReadSize(ReadOnlySpan<byte> file)
    {
        if (file.Length < HeaderEnd || !file[12..].StartsWith("IHDR"u8))
        {
            throw new InvalidImageContentException("The PNG header is missing.");
        }

        var size = new Size(BinaryPrimitives.ReadInt32BigEndian(file[16..]), BinaryPrimitives.ReadInt32BigEndian(file[20..]));
        return size is { Width: > 0, Height: > 0 } ? size : throw new InvalidImageContentException("The PNG has no pixels.");
    }

    public static Rgba32[] Read(ReadOnlySpan<byte> file)
    {
        var size = ReadSize(file);
        int depth = file[24], color = file[25], interlace = file[28];
        if (depth != 8 || interlace != 0 || color is not (0 or 2 or 3 or 4 or 6))
        {
            throw new InvalidImageContentException("Only PNG of 8 bits a sample without interlacing can be read.");
        }

        using var compressed = new MemoryStream();
        ReadOnlySpan<byte> palette = default, alphas = default;
        for (var position = HeaderEnd; position + 8 <= file.Length;)
        {
            var length = BinaryPrimitives.ReadUInt32BigEndian(file[position..]);
            if (position + 12L + length > file.Length)
            {
                break;
            }

            var type = file.Slice(position + 4, 4);
            var content = file.Slice(position + 8, (int)length);
            position += 12 + (int)length;
            if (type.SequenceEqual("IDAT"u8))
            {
                compressed.Write(content);
            }
            else if (type.SequenceEqual("PLTE"u8))
            {
                palette = content;
            }
            else if (type.SequenceEqual("tRNS"u8))
            {
                alphas = content;
            }
        }

        compressed.Position = 0;
        return ReadPixels(compressed, size, color, palette, alphas);
    }

    private static Rgba32[] ReadPixels(
        MemoryStream compressed, Size size, int color, ReadOnlySpan<byte> palette, ReadOnlySpan<byte> alphas)
    {
        var channels = color switch
        {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        };
        var pixels = new Rgba32[checked(size.Width * size.Height)];
        var row = new byte[size.Width * channels];
        var above = new byte[row.Length];
        using var inflater = new ZLibStream(compressed, CompressionMode.Decompress);
        try
        {
            for (var y = 0; y < size.Height; y++)
            {
                var filter = inflater.ReadByte();
                inflater.ReadExactly(row);
                Restore((byte)filter, row, above, channels);
                for (var x = 0; x < size.Width; x++)
                {
                    pixels[(y * size.Width) + x] = ToPixel(row.AsSpan(x * channels, channels), color, palette, alphas);
                }

                (row, above) = (above, row);
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new InvalidImageContentException("The PNG data are damaged or incomplete.", e);
        }

        return pixels;
    }

    private static void Restore(byte filter, byte[] row, byte[] above, int channels)
    {
        if (filter > PngFilter.Highest)
        {
            throw new InvalidImageContentException("A PNG row has an unknown filter.");
        }

        for (var i = 0; i < row.Length; i++)
        {
            int left = i < channels ? 0 : row[i - channels], corner = i < channels ? 0 : above[i - channels];
            row[i] += PngFilter.Predict(filter, left, above[i], corner);
        }
    }

    private static Rgba32 ToPixel(
        ReadOnlySpan<byte> samples, int color, ReadOnlySpan<byte> palette, ReadOnlySpan<byte> alphas)
    {
        switch (color)
        {
            case 0:
                return new Rgba32(samples[0], samples[0], samples[0]);
            case 2:
                return new Rgba32(samples[0], samples[1], samples[2]);
            case 4:
                return new Rgba32(samples[0], samples[0], samples[0], samples[1]);
            case 6:
                return new Rgba32(samples[0], samples[1], samples[2], samples[3]);
            default:
                int index = samples[0];
                if ((3 * index) + 3 > palette.Length)
                {
                    throw new InvalidImageContentException("A PNG pixel lies outside the palette.");
                }

                var alpha = index < alphas.Length ? alphas[index] : byte.MaxValue;
                return new Rgba32(palette[3 * index], palette[(3 * index) + 1], palette[(3 * index) + 2], alpha);
        }
    }
}
