using System.Buffers.Binary;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>Where the chunks that matter lie in a PNG file.</summary>
internal sealed class PngChunks
{
    private readonly List<Range> _data = [];
    private Range _palette;

    /// <summary>The first bytes of every PNG file.</summary>
    public static ReadOnlySpan<byte> Signature => [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

    public PngHeader Header { get; private set; }

    /// <summary>Bytes of compressed data in all.</summary>
    public int DataLength { get; private set; }

    /// <summary>Finds the chunks up to the end chunk, or up to where the file breaks off behind some image data.</summary>
    public static PngChunks Read(ReadOnlySpan<byte> file, string name)
    {
        var chunks = new PngChunks();
        var position = Signature.Length;
        while (position + 8 <= file.Length)
        {
            var length = BinaryPrimitives.ReadUInt32BigEndian(file[position..]);
            var type = file.Slice(position + 4, 4);
            var start = position + 8;
            if (type.SequenceEqual("IEND"u8))
            {
                break;
            }

            if (start + (long)length > file.Length)
            {
                throw DecodingError.Truncated(name, "PNG");
            }

            var end = start + (int)length;
            chunks.Add(file, type, start..end, name);
            position = Math.Min(end + 4, file.Length);
        }

        if (!chunks.Header.IsDefined || chunks.DataLength == 0)
        {
            throw DecodingError.Truncated(name, "PNG");
        }

        return chunks;
    }

    /// <summary>The palette's colours, three bytes each.</summary>
    public ReadOnlySpan<byte> Palette(ReadOnlySpan<byte> file) => file[_palette];

    /// <summary>Joins the compressed data.</summary>
    public void CopyData(ReadOnlySpan<byte> file, Span<byte> target)
    {
        foreach (var part in _data)
        {
            file[part].CopyTo(target);
            target = target[file[part].Length..];
        }
    }

    private void Add(ReadOnlySpan<byte> file, ReadOnlySpan<byte> type, Range content, string name)
    {
        if (type.SequenceEqual("IDAT"u8))
        {
            // The check sum inside the compressed data covers them; their own is not computed.
            _data.Add(content);
            DataLength += file[content].Length;
        }
        else if (type.SequenceEqual("IHDR"u8))
        {
            Verify(file, content, name);
            Header = ReadHeader(file[content], name);
        }
        else if (type.SequenceEqual("PLTE"u8))
        {
            Verify(file, content, name);
            _palette = content;
        }
    }

    private static PngHeader ReadHeader(ReadOnlySpan<byte> content, string name)
    {
        if (content.Length < 13)
        {
            throw DecodingError.Damaged(name, "PNG", "its header is too short");
        }

        var width = BinaryPrimitives.ReadInt32BigEndian(content);
        var height = BinaryPrimitives.ReadInt32BigEndian(content[4..]);
        var header = new PngHeader(width, height, content[8], (PngColor)content[9], content[12] == 1);
        if (!header.IsDefined || content[10] != 0 || content[11] != 0 || content[12] > 1)
        {
            throw DecodingError.Damaged(name, "PNG", "its header names a kind of image that the format does not define");
        }

        return header;
    }

    private static void Verify(ReadOnlySpan<byte> file, Range content, string name)
    {
        var (start, length) = content.GetOffsetAndLength(file.Length);
        if (start + length + 4 > file.Length)
        {
            throw DecodingError.Truncated(name, "PNG");
        }

        var stored = BinaryPrimitives.ReadUInt32BigEndian(file[(start + length)..]);
        if (PngCheckSum.Of(file.Slice(start - 4, length + 4)) != stored)
        {
            throw DecodingError.Damaged(name, "PNG", "a check sum does not fit");
        }
    }
}
