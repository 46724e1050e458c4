using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// The members of a mapped zip archive. PyTorch stores most of them uncompressed, so that they can be used where they
/// lie. Understands Zip64.
/// </summary>
internal static class ZipDirectory
{
    private const uint LocalSignature = 0x04034b50;
    private const uint CentralSignature = 0x02014b50;
    private const uint EndSignature = 0x06054b50;
    private const uint End64Signature = 0x06064b50;
    private const uint Locator64Signature = 0x07064b50;
    private const int LocalBytes = 30;
    private const int CentralBytes = 46;
    private const int EndBytes = 22;
    private const int End64Bytes = 56;
    private const int Locator64Bytes = 20;
    private const ushort Extra64 = 1;

    private const int MaxCommentBytes = ushort.MaxValue;

    public static bool Recognises(MappedFile file) =>
        file.Length >= LocalBytes && BinaryPrimitives.ReadUInt32LittleEndian(file.Span(0, 4)) == LocalSignature;

    /// <summary>The members by name, in the archive's order.</summary>
    public static OrderedDictionary<string, ZipMember> Read(MappedFile file)
    {
        var (start, size) = FindCentralDirectory(file);
        var entries = new OrderedDictionary<string, ZipMember>();
        for (var position = start; position < start + size;)
        {
            var header = Bytes(file, position, CentralBytes);
            var nameLength = UInt16(header, 28);
            var extraLength = UInt16(header, 30);
            var commentLength = UInt16(header, 32);
            if (UInt32(header, 0) != CentralSignature)
            {
                throw Damaged(file, $"byte {position} does not begin a directory entry");
            }

            var name = Encoding.UTF8.GetString(Bytes(file, position + CentralBytes, nameLength));
            var extra = Bytes(file, position + CentralBytes + nameLength, extraLength);
            var (length, packed, local) = Location(header, extra, name, file);
            var member = new ZipMember(name, DataOffset(file, name, local, packed), packed, length, UInt16(header, 10), (UInt16(header, 8) & 1) != 0);
            if (!entries.TryAdd(name, member))
            {
                throw Damaged(file, $"the member {name} occurs twice");
            }

            position += CentralBytes + nameLength + extraLength + commentLength;
        }

        return entries;
    }

    private static (long Start, long Length) FindCentralDirectory(MappedFile file)
    {
        for (var position = file.Length - EndBytes; position >= Math.Max(0, file.Length - EndBytes - MaxCommentBytes); position--)
        {
            var end = file.Span(position, EndBytes);
            if (UInt32(end, 0) != EndSignature)
            {
                continue;
            }

            ulong start = UInt32(end, 16);
            ulong length = UInt32(end, 12);
            if ((start == uint.MaxValue || length == uint.MaxValue || UInt16(end, 10) == ushort.MaxValue) && position >= Locator64Bytes)
            {
                var locator = file.Span(position - Locator64Bytes, Locator64Bytes);
                if (UInt32(locator, 0) == Locator64Signature)
                {
                    var end64 = Bytes(file, Checked(file, UInt64(locator, 8)), End64Bytes);
                    if (UInt32(end64, 0) != End64Signature)
                    {
                        throw Damaged(file, "its Zip64 directory is not where it should be");
                    }

                    (start, length) = (UInt64(end64, 48), UInt64(end64, 40));
                }
            }

            return start <= (ulong)position && length <= (ulong)position - start
                ? ((long)start, (long)length)
                : throw Damaged(file, "its directory is not where it should be");
        }

        throw new UserException($"{file.Path} is a zip archive without a directory at its end: it is cut short; copy or download it again.");
    }

    private static (ulong Length, long Packed, long Local) Location(ReadOnlySpan<byte> header, ReadOnlySpan<byte> extra, string name, MappedFile file)
    {
        ulong packed = UInt32(header, 20);
        ulong length = UInt32(header, 24);
        ulong local = UInt32(header, 42);
        while (extra.Length >= 4)
        {
            var size = UInt16(extra, 2);
            if (size > extra.Length - 4)
            {
                break;
            }

            if (UInt16(extra, 0) == Extra64)
            {
                // Only the fields that overflow in the header are present, in this order.
                var field = extra.Slice(4, size);
                length = Take64(length, ref field, name, file);
                packed = Take64(packed, ref field, name, file);
                local = Take64(local, ref field, name, file);
            }

            extra = extra[(4 + size)..];
        }

        return (length, Checked(file, packed), Checked(file, local));
    }

    private static ulong Take64(ulong value, ref ReadOnlySpan<byte> field, string name, MappedFile file)
    {
        if (value != uint.MaxValue)
        {
            return value;
        }

        if (field.Length < 8)
        {
            throw Damaged(file, $"the member {name} lacks its Zip64 sizes");
        }

        var wide = UInt64(field, 0);
        field = field[8..];
        return wide;
    }

    // The local header has its own extra field, with which PyTorch aligns the data, so its length is read there.
    private static long DataOffset(MappedFile file, string name, long local, long length)
    {
        var header = Bytes(file, local, LocalBytes);
        if (UInt32(header, 0) != LocalSignature)
        {
            throw Damaged(file, $"the member {name} is not where its directory says");
        }

        var offset = local + LocalBytes + UInt16(header, 26) + UInt16(header, 28);
        if (offset > file.Length - length)
        {
            throw Damaged(file, $"the member {name} reaches beyond the end");
        }

        return offset;
    }

    private static ReadOnlySpan<byte> Bytes(MappedFile file, long offset, int length) =>
        offset <= file.Length - length ? file.Span(offset, length) : throw Damaged(file, "its directory reaches beyond the end");

    private static long Checked(MappedFile file, ulong value) =>
        value <= (ulong)file.Length ? (long)value : throw Damaged(file, "its directory points beyond the end");

    private static ushort UInt16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);

    private static uint UInt32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    private static ulong UInt64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]);

    private static UserException Damaged(MappedFile file, string why) =>
        new($"{file.Path} is a damaged zip archive: {why}; copy or download it again.");
}

/// <summary>A member of a mapped zip archive.</summary>
/// <param name="Name">Its name with folders.</param>
/// <param name="Offset">Where its bytes begin in the file.</param>
/// <param name="PackedLength">Number of its bytes in the file.</param>
/// <param name="Length">Number of its bytes unpacked, as the archive says.</param>
/// <param name="Method">How it is packed.</param>
/// <param name="IsEncrypted">Whether it is encrypted.</param>
internal sealed record ZipMember(string Name, long Offset, long PackedLength, ulong Length, ushort Method, bool IsEncrypted)
{
    private const ushort Stored = 0;
    private const ushort Deflated = 8;

    // Far more than the object graph of any model.
    private const int MaxUnpackedBytes = 1 << 28;

    private bool IsStored => Method == Stored && !IsEncrypted && (ulong)PackedLength == Length;

    /// <summary>Where the bytes of a stored member lie.</summary>
    /// <exception cref="UserException">It is packed.</exception>
    public (long Offset, long Length) Locate(MappedFile file) => IsStored
        ? (Offset, PackedLength)
        : throw new UserException(
            $"{file.Path}: the archive member {Name} is compressed or encrypted, which PyTorch never does with tensors; save the file again with torch.save.");

    /// <summary>The bytes of a small member, unpacked if need be.</summary>
    /// <exception cref="UserException">It is too large, damaged or packed in another way.</exception>
    public ReadOnlySpan<byte> Read(MappedFile file)
    {
        if (IsStored && PackedLength <= int.MaxValue)
        {
            return file.Span(Offset, (int)PackedLength);
        }

        if (Method != Deflated || IsEncrypted || PackedLength > MaxUnpackedBytes || Length > MaxUnpackedBytes)
        {
            throw new UserException($"{file.Path}: the archive member {Name} is too large, encrypted or packed in an unknown way; save the file again with torch.save.");
        }

        try
        {
            using var packed = new MemoryStream(file.Span(Offset, (int)PackedLength).ToArray());
            using var unpacking = new DeflateStream(packed, CompressionMode.Decompress);
            var bytes = new byte[Length];
            unpacking.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException)
        {
            throw new UserException($"{file.Path} is a damaged zip archive: the member {Name} cannot be unpacked; copy or download it again.", exception);
        }
    }
}
