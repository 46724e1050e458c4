using System.Buffers.Binary;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>The facts that lie in a JPEG file's marker segments and that TurboJPEG does not tell.</summary>
internal static class JpegMarkers
{
    private const byte EndOfImage = 0xD9;
    private const byte StartOfScan = 0xDA;
    private const byte Application14 = 0xEE;

    /// <summary>Whether an Adobe segment precedes the first scan: such files store inks inverted.</summary>
    public static bool HasAdobeSegment(ReadOnlySpan<byte> jpeg)
    {
        var position = 2;
        while (NextMarker(jpeg, ref position, out var marker) && marker is not (StartOfScan or EndOfImage))
        {
            var segment = TakeSegment(jpeg, ref position, marker);
            if (marker == Application14 && segment.StartsWith("Adobe"u8))
            {
                return true;
            }
        }

        return false;
    }

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

            TakeSegment(jpeg, ref position, marker);
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

    private static ReadOnlySpan<byte> TakeSegment(ReadOnlySpan<byte> jpeg, ref int position, byte marker)
    {
        if (marker is 0x01 or (>= 0xD0 and <= 0xD8) || position + 2 > jpeg.Length)
        {
            return [];
        }

        var length = Math.Max(2, (int)BinaryPrimitives.ReadUInt16BigEndian(jpeg[position..]));
        var start = position + 2;
        position = Math.Min(position + length, jpeg.Length);
        return jpeg[Math.Min(start, position)..position];
    }
}
