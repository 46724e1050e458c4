using System.Buffers.Binary;
using System.Text;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Writes a zip archive of stored members whose data begins at multiples of 64 bytes, as PyTorch's reader expects for
/// mapping. Members and archives beyond 4 GiB use Zip64.
/// </summary>
internal sealed class ZipWriter(Stream stream, long zip64From = uint.MaxValue)
{
    private const int Alignment = 64;
    private const ushort PaddingId = 0x4246;
    private const ushort Version = 20;
    private const ushort Version64 = 45;
    private const ushort Utf8Names = 1 << 11;

    // The first of January 1980: archives of the same content are the same bytes.
    private const ushort Date = (1 << 5) | 1;

    private readonly List<(byte[] Name, uint Checksum, long Length, long Local)> _members = [];

    /// <summary>Adds a member of known length.</summary>
    public void Add(string name, long length, Action<Stream> write)
    {
        var bytes = Encoding.UTF8.GetBytes(name);
        var local = stream.Position;
        var wide = length >= zip64From;
        var wideBytes = wide ? 20 : 0;
        var unpadded = local + ZipDirectory.LocalBytes + bytes.Length + wideBytes + 4;
        var padding = (int)((Alignment - (unpadded % Alignment)) % Alignment);
        var header = new byte[ZipDirectory.LocalBytes + bytes.Length + wideBytes + 4 + padding];
        var at = Put32(header, 0, ZipDirectory.LocalSignature);
        at = Put16(header, at, wide ? Version64 : Version);
        at = Put16(header, at, Utf8Names);
        at = Put16(header, at + 4, Date);
        at += 4;
        at = Put32(header, at, wide ? uint.MaxValue : (uint)length);
        at = Put32(header, at, wide ? uint.MaxValue : (uint)length);
        at = Put16(header, at, (ushort)bytes.Length);
        at = Put16(header, at, (ushort)(wideBytes + 4 + padding));
        bytes.CopyTo(header, at);
        at += bytes.Length;
        if (wide)
        {
            at = Put16(header, at, ZipDirectory.Extra64);
            at = Put16(header, at, 16);
            at = Put64(header, at, length);
            at = Put64(header, at, length);
        }

        at = Put16(header, at, PaddingId);
        Put16(header, at, (ushort)padding);
        stream.Write(header);

        var summing = new ChecksumStream(stream);
        write(summing);
        if (summing.Position != length)
        {
            throw new InvalidOperationException($"{name} wrote {summing.Position} bytes instead of {length}.");
        }

        var end = stream.Position;
        Span<byte> checksum = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(checksum, summing.Checksum);
        stream.Position = local + 14;
        stream.Write(checksum);
        stream.Position = end;
        _members.Add((bytes, summing.Checksum, length, local));
    }

    /// <summary>Writes the directory. Nothing can be added afterwards.</summary>
    public void Finish()
    {
        var start = stream.Position;
        foreach (var (name, checksum, length, local) in _members)
        {
            WriteDirectoryEntry(name, checksum, length, local);
        }

        var size = stream.Position - start;
        if (start >= zip64From || size >= zip64From || _members.Count >= ushort.MaxValue)
        {
            WriteEnd64(start, size);
        }

        var end = new byte[ZipDirectory.EndBytes];
        var count = (ushort)Math.Min(_members.Count, ushort.MaxValue);
        var at = Put32(end, 0, ZipDirectory.EndSignature);
        at = Put16(end, at + 4, count);
        at = Put16(end, at, count);
        at = Put32(end, at, size >= zip64From ? uint.MaxValue : (uint)size);
        Put32(end, at, start >= zip64From ? uint.MaxValue : (uint)start);
        stream.Write(end);
    }

    private void WriteDirectoryEntry(byte[] name, uint checksum, long length, long local)
    {
        var wideLength = length >= zip64From;
        var wideLocal = local >= zip64From;
        var wideBytes = (wideLength ? 16 : 0) + (wideLocal ? 8 : 0);
        var extraBytes = wideBytes == 0 ? 0 : 4 + wideBytes;
        var entry = new byte[ZipDirectory.CentralBytes + name.Length + extraBytes];
        var at = Put32(entry, 0, ZipDirectory.CentralSignature);
        at = Put16(entry, at, wideBytes == 0 ? Version : Version64);
        at = Put16(entry, at, wideBytes == 0 ? Version : Version64);
        at = Put16(entry, at, Utf8Names);
        at = Put16(entry, at + 4, Date);
        at = Put32(entry, at, checksum);
        at = Put32(entry, at, wideLength ? uint.MaxValue : (uint)length);
        at = Put32(entry, at, wideLength ? uint.MaxValue : (uint)length);
        at = Put16(entry, at, (ushort)name.Length);
        at = Put16(entry, at, (ushort)extraBytes);
        at = Put32(entry, at + 10, wideLocal ? uint.MaxValue : (uint)local);
        name.CopyTo(entry, at);
        at += name.Length;
        if (wideBytes > 0)
        {
            at = Put16(entry, at, ZipDirectory.Extra64);
            at = Put16(entry, at, (ushort)wideBytes);
            if (wideLength)
            {
                at = Put64(entry, at, length);
                at = Put64(entry, at, length);
            }

            if (wideLocal)
            {
                Put64(entry, at, local);
            }
        }

        stream.Write(entry);
    }

    private void WriteEnd64(long start, long size)
    {
        var position = stream.Position;
        var end = new byte[ZipDirectory.End64Bytes + ZipDirectory.Locator64Bytes];
        var at = Put32(end, 0, ZipDirectory.End64Signature);
        at = Put64(end, at, ZipDirectory.End64Bytes - 12);
        at = Put16(end, at, Version64);
        at = Put16(end, at, Version64);
        at = Put64(end, at + 8, _members.Count);
        at = Put64(end, at, _members.Count);
        at = Put64(end, at, size);
        at = Put64(end, at, start);
        at = Put32(end, at, ZipDirectory.Locator64Signature);
        at = Put64(end, at + 4, position);
        Put32(end, at, 1);
        stream.Write(end);
    }

    private static int Put16(byte[] target, int at, ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(target.AsSpan(at), value);
        return at + sizeof(ushort);
    }

    private static int Put32(byte[] target, int at, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(target.AsSpan(at), value);
        return at + sizeof(uint);
    }

    private static int Put64(byte[] target, int at, long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(target.AsSpan(at), value);
        return at + sizeof(long);
    }
}
