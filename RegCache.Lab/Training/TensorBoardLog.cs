using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training;

/// <summary>
/// Writes scalars as a TensorBoard event file: records of a length, a masked CRC-32C of it, a protocol-buffer message
/// <c>Event</c> and a masked CRC-32C of that (tensorflow/core/lib/io/record_writer.h and core/util/event.proto).
/// </summary>
public sealed class TensorBoardLog : ITrainingLog
{
    private readonly string _path;
    private readonly FileStream _stream;

    /// <summary>Begins a new event file. TensorBoard shows later files of a folder in place of the steps they repeat.</summary>
    /// <param name="folder">The folder; it is created.</param>
    /// <param name="lastStep">The step that a resumed training continues after.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public TensorBoardLog(string folder, long lastStep)
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        var name = string.Create(CultureInfo.InvariantCulture, $"events.out.tfevents.{now / 1000}.{Environment.MachineName}.{lastStep}.{now % 1000}");
        _path = Path.Combine(folder, name);
        try
        {
            Directory.CreateDirectory(folder);
            _stream = new FileStream(_path, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The log {_path} cannot be written");
        }

        var header = Event(0);
        header.Text(3, "brain.Event:2");
        WriteRecord(header.ToArray());
    }

    /// <inheritdoc />
    public void Write(long step, IReadOnlyDictionary<string, double> values)
    {
        var summary = new ProtocolMessage();
        foreach (var (name, value) in values)
        {
            var scalar = new ProtocolMessage();
            scalar.Text(1, name);
            scalar.Single(2, (float)value);
            summary.Message(1, scalar);
        }

        var message = Event(step);
        message.Message(5, summary);
        WriteRecord(message.ToArray());
    }

    /// <inheritdoc />
    public void Dispose() => _stream.Dispose();

    private static ProtocolMessage Event(long step)
    {
        var message = new ProtocolMessage();
        message.Double(1, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0);
        message.Integer(2, (ulong)step);
        return message;
    }

    private void WriteRecord(byte[] message)
    {
        var record = new byte[8 + 4 + message.Length + 4];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)message.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedChecksum(record.AsSpan(0, 8)));
        message.CopyTo(record, 12);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + message.Length), MaskedChecksum(message));
        try
        {
            _stream.Write(record);
            _stream.Flush();
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The log {_path} cannot be written");
        }
    }

    // The record format rotates and shifts checksums, so that a checksum of data that holds checksums stays useful.
    private static uint MaskedChecksum(ReadOnlySpan<byte> data)
    {
        var checksum = uint.MaxValue;
        foreach (var value in data)
        {
            checksum = BitOperations.Crc32C(checksum, value);
        }

        checksum = ~checksum;
        return ((checksum >> 15) | (checksum << 17)) + 0xA282EAD8;
    }

    /// <summary>A protocol-buffer message, written field by field.</summary>
    private sealed class ProtocolMessage
    {
        private readonly List<byte> _bytes = [];

        public byte[] ToArray() => [.. _bytes];

        public void Integer(int field, ulong value)
        {
            Key(field, wireType: 0);
            Variable(value);
        }

        public void Double(int field, double value)
        {
            Key(field, wireType: 1);
            Span<byte> bytes = stackalloc byte[8];
            BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
            _bytes.AddRange(bytes);
        }

        public void Single(int field, float value)
        {
            Key(field, wireType: 5);
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
            _bytes.AddRange(bytes);
        }

        public void Text(int field, string value) => Block(field, Encoding.UTF8.GetBytes(value));

        public void Message(int field, ProtocolMessage value) => Block(field, value.ToArray());

        private void Block(int field, byte[] content)
        {
            Key(field, wireType: 2);
            Variable((ulong)content.Length);
            _bytes.AddRange(content);
        }

        private void Key(int field, int wireType) => Variable((ulong)((field << 3) | wireType));

        private void Variable(ulong value)
        {
            for (; value >= 0x80; value >>= 7)
            {
                _bytes.Add((byte)(value | 0x80));
            }

            _bytes.Add((byte)value);
        }
    }
}
