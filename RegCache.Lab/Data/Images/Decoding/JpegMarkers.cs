using System.Buffers.Binary;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>Walks a JPEG file's markers, for what TurboJPEG does not tell.</summary>
internal static class JpegMarkers
{
    private const byte EndOfImage = 0xD9;

    /// <summary>Whether the file ends before its end-of-image marker, which is how an incomplete file is known.</summary>
    public static bool IsTruncated(ReadOnlySpan<byte> jpeg)
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
