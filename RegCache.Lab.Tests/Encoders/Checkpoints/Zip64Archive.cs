using System.Text;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>Writes zip archives of stored members whose sizes and places stand in Zip64 fields, as those beyond 4 GiB do.</summary>
internal static class Zip64Archive
{
    private const ushort Version = 45;

    public static void Write(string path, IReadOnlyList<(string Name, byte[] Content)> members)
    {
        using var output = new BinaryWriter(File.Create(path));
        using var directory = new MemoryStream();
        using var entries = new BinaryWriter(directory);
        foreach (var (name, content) in members)
        {
            var (nameBytes, length, start) = (Encoding.UTF8.GetBytes(name), content.LongLength, output.BaseStream.Position);
            Header(output, 0x04034b50, nameBytes, extraLength: 20);
            output.Write(nameBytes);
            Extra(output, length, length);
            output.Write(content);

            Header(entries, 0x02014b50, nameBytes, extraLength: 28);
            entries.Write(new byte[10]);
            entries.Write(uint.MaxValue);
            entries.Write(nameBytes);
            Extra(entries, length, length, start);
        }

        WriteEnd(output, members.Count, directory.ToArray());
    }

    private static void Header(BinaryWriter writer, uint signature, byte[] name, ushort extraLength)
    {
        writer.Write(signature);
        if (signature == 0x02014b50)
        {
            writer.Write(Version);
        }

        writer.Write(Version);
        writer.Write(new byte[12]);
        writer.Write(ulong.MaxValue);
        writer.Write((ushort)name.Length);
        writer.Write(extraLength);
    }

    private static void Extra(BinaryWriter writer, params long[] values)
    {
        writer.Write((ushort)1);
        writer.Write((ushort)(8 * values.Length));
        Array.ForEach(values, writer.Write);
    }

    private static void WriteEnd(BinaryWriter output, long count, byte[] directory)
    {
        var start = output.BaseStream.Position;
        output.Write(directory);
        var end = output.BaseStream.Position;
        output.Write(0x06064b50u);
        output.Write(44L);
        output.Write(Version);
        output.Write(Version);
        Array.ForEach([0, count, count, directory.LongLength, start], output.Write);

        output.Write(0x07064b50u);
        output.Write(0u);
        output.Write(end);
        output.Write(1u);

        output.Write(0x06054b50u);
        output.Write(0u);
        output.Write(uint.MaxValue);
        output.Write(ulong.MaxValue);
        output.Write((ushort)0);
    }
}
