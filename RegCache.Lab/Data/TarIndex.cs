using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace RegCache.Lab.Data;

/// <summary>What a member of a tar file is.</summary>
internal enum TarMemberKind
{
    /// <summary>A file with content.</summary>
    File,

    /// <summary>A folder.</summary>
    Folder,

    /// <summary>A hard or symbolic link, whose content is elsewhere.</summary>
    Link,

    /// <summary>A device or what else tar can hold.</summary>
    Other,
}

/// <summary>A member of a tar file.</summary>
/// <param name="Name">Its path in the archive.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Offset">Where its content begins in the file.</param>
/// <param name="Length">Bytes of content.</param>
internal readonly record struct TarMember(string Name, TarMemberKind Kind, long Offset, long Length);

/// <summary>
/// Lists the members of a tar file in the formats v7, ustar, PAX and GNU. Only names, kinds and lengths are read: owners and dates may
/// hold numbers that no type holds, and no data set needs them.
/// </summary>
/// <param name="file">The file.</param>
/// <param name="path">What messages call it.</param>
internal sealed class TarIndex(SafeFileHandle file, string path)
{
    private const int Block = 512;
    private const int LongestExtension = 1 << 20;

    private readonly long _length = RandomAccess.GetLength(file);
    private readonly byte[] _header = new byte[Block];

    /// <summary>What looks wrong with the archive; complete when all members have been listed.</summary>
    public List<string> Warnings { get; } = [];

    /// <summary>The members, in order.</summary>
    /// <exception cref="UserException">The file is no tar file, damaged, cut off or sparse; the message names it and the member.</exception>
    public IEnumerable<TarMember> Members()
    {
        Dictionary<string, string> common = [], own = [];
        var (position, before, count) = (0L, "its first member", 0);
        string? longName = null;
        while (true)
        {
            if (position >= _length)
            {
                Warnings.Add(
                    $"The shard {path} has no end mark, so it may be cut off: it holds {count} members, up to {before}; fetch it again if there should be more.");
                yield break;
            }

            if (ReadBlock(position) is < Block and var read)
            {
                throw position == 0 ? NoTar(read) : CutOff($"in the header behind {before}");
            }

            if (!_header.AsSpan().ContainsAnyExcept((byte)0))
            {
                CheckRest(position + Block);
                yield break;
            }

            if (!HasValidSum())
            {
                throw position == 0 ? NoTar(Block) : Damaged($"in the header behind {before}");
            }

            position += Block;
            var type = (char)_header[156];
            if (type is 'L' or 'K' or 'x' or 'X' or 'g')
            {
                var extension = ReadExtension(position, before);
                switch (type)
                {
                    case 'L':
                        longName = Name(extension);
                        break;
                    case 'x' or 'X':
                        AddRecords(own, extension, before);
                        break;
                    case 'g':
                        AddRecords(common, extension, before);
                        break;
                }

                position += Padded(extension.Length);
                continue;
            }

            string? Record(string key) => own.GetValueOrDefault(key) ?? common.GetValueOrDefault(key);
            var name = Record("path") ?? longName ?? HeaderName();
            if (type == 'S' || own.Keys.Concat(common.Keys).Any(key => key.StartsWith("GNU.sparse.", StringComparison.Ordinal)))
            {
                throw new UserException($"The shard {path} stores {name} as a sparse file, which this kit does not read: pack it again without tar's --sparse.");
            }

            var kind = Kind(type, name);
            var hasContent = type is not (>= '1' and <= '6');
            var length = !hasContent ? 0 : Record("size") is { } size ? Decimal(size) : Number(_header.AsSpan(124, 12));
            if (length < 0)
            {
                throw Damaged($"in the length of {name}");
            }

            if (length > _length - position)
            {
                throw CutOff($"in {name}");
            }

            yield return new(name, kind, position, length);
            position += Padded(length);
            (before, longName, count) = (name, null, count + 1);
            own.Clear();
        }
    }

    private static TarMemberKind Kind(char type, string name) => type switch
    {
        '\0' when name.EndsWith('/') => TarMemberKind.Folder,
        '\0' or '0' or '7' => TarMemberKind.File,
        '1' or '2' => TarMemberKind.Link,
        '5' => TarMemberKind.Folder,
        _ => TarMemberKind.Other,
    };

    private static long Padded(long length) => (length + Block - 1) / Block * Block;

    private int ReadBlock(long position)
    {
        var done = 0;
        for (int read; (read = RandomAccess.Read(file, _header.AsSpan(done), position + done)) > 0;)
        {
            done += read;
        }

        return done;
    }

    // Old archives summed signed bytes.
    private bool HasValidSum()
    {
        var (unsigned, signed) = (0L, 0L);
        for (var index = 0; index < Block; index++)
        {
            var value = index is >= 148 and < 156 ? (byte)' ' : _header[index];
            unsigned += value;
            signed += (sbyte)value;
        }

        var stored = Number(_header.AsSpan(148, 8));
        return stored == unsigned || stored == signed;
    }

    private string HeaderName()
    {
        var name = Name(_header.AsSpan(0, 100));
        // Other formats keep dates and maps of holes where ustar keeps the front of a long path.
        var prefix = _header.AsSpan(257, 6).SequenceEqual("ustar\0"u8) ? Name(_header.AsSpan(345, 155)) : "";
        return prefix.Length > 0 ? $"{prefix}/{name}" : name;
    }

    private byte[] ReadExtension(long position, string before)
    {
        var length = Number(_header.AsSpan(124, 12));
        if (length is < 0 or > LongestExtension)
        {
            throw Damaged($"in the long name behind {before}");
        }

        var content = new byte[length];
        for (var done = 0; done < content.Length;)
        {
            var read = RandomAccess.Read(file, content.AsSpan(done), position + done);
            done += read > 0 ? read : throw CutOff($"in the header behind {before}");
        }

        return content;
    }

    // Records are written "length key=value\n"; the length counts itself.
    private void AddRecords(Dictionary<string, string> records, ReadOnlySpan<byte> content, string before)
    {
        while (!content.IsEmpty && content[0] != 0)
        {
            var space = content.IndexOf((byte)' ');
            if (space < 1
                || !int.TryParse(content[..space], NumberStyles.None, CultureInfo.InvariantCulture, out var length)
                || length < space + 2
                || length > content.Length
                || content[(space + 1)..length].IndexOf((byte)'=') is not (> 0 and var equals))
            {
                throw Damaged($"in the extended header behind {before}");
            }

            var record = content[(space + 1)..(length - 1)];
            if (equals < record.Length)
            {
                records[Decode(record[..equals])] = Decode(record[(equals + 1)..]);
            }

            content = content[length..];
        }
    }

    private void CheckRest(long position)
    {
        var buffer = new byte[1 << 16];
        for (int read; (read = RandomAccess.Read(file, buffer, position)) > 0; position += read)
        {
            if (buffer.AsSpan(0, read).ContainsAnyExcept((byte)0))
            {
                Warnings.Add(
                    $"The shard {path} goes on behind its end mark, and what follows is not read: it may be several archives in one file; unpack and pack it again.");
                return;
            }
        }
    }

    // Octal digits, or base 256 behind a first byte of 128. Negative: no number that an archive can mean.
    private static long Number(ReadOnlySpan<byte> field)
    {
        var value = 0L;
        if (field[0] is 0x80 or 0xFF)
        {
            if (field[0] == 0xFF || field[1..^7].ContainsAnyExcept((byte)0))
            {
                return -1;
            }

            foreach (var digit in field[^7..])
            {
                value = (value << 8) | digit;
            }

            return value;
        }

        foreach (var digit in field.Trim(" \0"u8))
        {
            if (digit == 0)
            {
                break;
            }

            if (digit is < (byte)'0' or > (byte)'7')
            {
                return -1;
            }

            value = (value << 3) | (uint)(digit - '0');
        }

        return value;
    }

    private static long Decimal(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : -1;

    private static string Name(ReadOnlySpan<byte> field) => Decode(field.IndexOf((byte)0) is >= 0 and var end ? field[..end] : field);

    // What is not UTF-8 is read as Latin-1, so that different names stay different.
    private static string Decode(ReadOnlySpan<byte> bytes) =>
        System.Text.Unicode.Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : Encoding.Latin1.GetString(bytes);

    private UserException NoTar(int read)
    {
        var kind = ContentKind.Of(_header.AsSpan(0, read));
        return new($"The shard {path} is no tar file{(kind is null ? "" : $" but {kind}")}: name tar shards, or fetch it again.");
    }

    private UserException Damaged(string where) => new($"The shard {path} is damaged {where}: fetch it again.");

    private UserException CutOff(string where) => new($"The shard {path} is cut off {where}: fetch it again.");
}
