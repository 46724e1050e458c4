using System.IO.Compression;

namespace RegCache.Lab.Encoders.Checkpoints;

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
