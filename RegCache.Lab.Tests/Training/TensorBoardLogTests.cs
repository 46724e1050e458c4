using System.Buffers.Binary;
using System.Text;
using RegCache.Lab.Training;

namespace RegCache.Lab.Tests.Training;

public sealed class TensorBoardLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("board-").FullName;

    // The CRC-32C of "123456789" is 0xE3069283 by the polynomial's definition; the records are checked with a bitwise one.
    [Fact]
    public void TheChecksumOfTheTestIsTheKnownOne() => Assert.Equal(0xE3069283u, Checksum("123456789"u8));

    [Fact]
    public void RecordsAreFramedAndHoldTheScalars()
    {
        using (var log = new TensorBoardLog(_folder, 0))
        {
            log.Write(300, new Dictionary<string, double> { ["train/loss"] = 1.5 });
        }

        var bytes = File.ReadAllBytes(Assert.Single(Directory.GetFiles(_folder)));
        var records = Records(bytes);
        Assert.Equal(2, records.Count);
        Assert.Contains("brain.Event:2", Encoding.UTF8.GetString(records[0]), StringComparison.Ordinal);

        // double time, then step 300 as field 2, then field 5 with the summary.
        var scalar = records[1].AsSpan(9);
        Assert.Equal([0x10, 0xAC, 0x02, 0x2A], scalar[..4].ToArray());
        Assert.Equal([0x0A, 10, .. "train/loss"u8, 0x15], scalar[7..^4].ToArray());
        Assert.Equal(1.5f, BinaryPrimitives.ReadSingleLittleEndian(scalar[^4..]));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static List<byte[]> Records(byte[] bytes)
    {
        var records = new List<byte[]>();
        for (var position = 0; position < bytes.Length;)
        {
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(position));
            Assert.Equal(Masked(bytes.AsSpan(position, 8)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(position + 8)));
            var record = bytes.AsSpan(position + 12, length).ToArray();
            Assert.Equal(Masked(record), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(position + 12 + length)));
            records.Add(record);
            position += 16 + length;
        }

        return records;
    }

    private static uint Masked(ReadOnlySpan<byte> data)
    {
        var checksum = Checksum(data);
        return ((checksum >> 15) | (checksum << 17)) + 0xA282EAD8;
    }

    private static uint Checksum(ReadOnlySpan<byte> data)
    {
        var state = uint.MaxValue;
        foreach (var value in data)
        {
            state ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                state = (state >> 1) ^ ((state & 1) * 0x82F63B78u);
            }
        }

        return ~state;
    }
}
