using System.Buffers.Binary;
using System.Text;

namespace RegCache.Lab.Tests.Data;

/// <summary>Writes tar files byte by byte, so that they can hold what no tar program would write.</summary>
internal sealed class TarBytes
{
    public const int Block = 512;

    private readonly List<byte> _bytes = [];

    /// <summary>The archive so far, with its end mark.</summary>
    public byte[] Ended => [.. _bytes, .. new byte[2 * Block]];

    /// <summary>The archive so far, without an end mark.</summary>
    public byte[] Open => [.. _bytes];

    public TarBytes Add(string name, string content, char type = '0', Action<byte[]>? change = null) =>
        Add(name, Encoding.UTF8.GetBytes(content), type, change);

    /// <summary>Adds a member; its header may be changed before the sum is taken.</summary>
    public TarBytes Add(string name, byte[] content, char type = '0', Action<byte[]>? change = null)
    {
        var header = new byte[Block];
        Encoding.UTF8.GetBytes(name).CopyTo(header, 0);
        Put(header, 100, "0000644\0");
        Put(header, 108, "0000000\0");
        Put(header, 116, "0000000\0");
        Put(header, 124, Convert.ToString(content.Length, 8).PadLeft(11, '0') + "\0");
        Put(header, 136, "00000000000\0");
        header[156] = (byte)type;
        Put(header, 257, "ustar\0" + "00");
        change?.Invoke(header);
        Seal(header);
        _bytes.AddRange(header);
        _bytes.AddRange(content);
        _bytes.AddRange(new byte[(Block - (content.Length % Block)) % Block]);
        return this;
    }

    /// <summary>Adds a PAX header for the next member.</summary>
    public TarBytes AddRecords(params (string Key, string Value)[] records) => AddRecords('x', records);

    /// <summary>Adds a PAX header for the next member (x) or for all that follow (g).</summary>
    public TarBytes AddRecords(char type, params (string Key, string Value)[] records) => Add("pax", string.Concat(records.Select(record =>
    {
        var rest = Encoding.UTF8.GetByteCount($" {record.Key}={record.Value}\n");
        var length = rest + 1;
        while (length != rest + length.ToString().Length)
        {
            length = rest + length.ToString().Length;
        }

        return $"{length} {record.Key}={record.Value}\n";
    })), type);

    /// <summary>A number in base 256, as GNU tar writes large ones.</summary>
    public static void PutBinary(byte[] header, int offset, int length, ulong value)
    {
        var number = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(number, value);
        Array.Clear(header, offset, length);
        var digits = Math.Min(8, length - 1);
        number.AsSpan(8 - digits).CopyTo(header.AsSpan(offset + length - digits));
        header[offset] = 0x80;
    }

    public static void Put(byte[] header, int offset, string text) => Encoding.ASCII.GetBytes(text).CopyTo(header, offset);

    /// <summary>Writes the sum of a header, of signed bytes as old programs did or of unsigned ones.</summary>
    public static void Seal(Span<byte> header, bool signed = false)
    {
        "        "u8.CopyTo(header[148..]);
        var sum = 0;
        foreach (var value in header)
        {
            sum += signed ? (sbyte)value : value;
        }

        Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ").CopyTo(header[148..]);
    }
}
