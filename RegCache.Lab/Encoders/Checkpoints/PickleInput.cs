using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>The pickle opcodes that weight files use, and those tolerated beside them.</summary>
internal enum PickleOpcode : byte
{
    Mark = (byte)'(',
    Stop = (byte)'.',
    Pop = (byte)'0',
    PopMark = (byte)'1',
    Dup = (byte)'2',
    BinFloat = (byte)'G',
    BinInt = (byte)'J',
    BinInt1 = (byte)'K',
    BinInt2 = (byte)'M',
    None = (byte)'N',
    BinPersId = (byte)'Q',
    Reduce = (byte)'R',
    BinString = (byte)'T',
    ShortBinString = (byte)'U',
    BinUnicode = (byte)'X',
    EmptyList = (byte)']',
    Append = (byte)'a',
    Build = (byte)'b',
    Global = (byte)'c',
    Appends = (byte)'e',
    BinGet = (byte)'h',
    LongBinGet = (byte)'j',
    BinPut = (byte)'q',
    LongBinPut = (byte)'r',
    SetItem = (byte)'s',
    Tuple = (byte)'t',
    EmptyTuple = (byte)')',
    SetItems = (byte)'u',
    EmptyDict = (byte)'}',
    BinBytes = (byte)'B',
    ShortBinBytes = (byte)'C',
    Proto = 0x80,
    NewObj = 0x81,
    Tuple1 = 0x85,
    Tuple2 = 0x86,
    Tuple3 = 0x87,
    NewTrue = 0x88,
    NewFalse = 0x89,
    Long1 = 0x8a,
    Long4 = 0x8b,
    ShortBinUnicode = 0x8c,
    BinUnicode8 = 0x8d,
    BinBytes8 = 0x8e,
    EmptySet = 0x8f,
    AddItems = 0x90,
    FrozenSet = 0x91,
    NewObjEx = 0x92,
    StackGlobal = 0x93,
    Memoize = 0x94,
    Frame = 0x95,
    ByteArray8 = 0x96,
}

/// <summary>The bytes of a pickle with a position; every length is checked against what is left.</summary>
internal ref struct PickleInput(ReadOnlySpan<byte> data, string path)
{
    private const int MaxGlobalBytes = 1024;
    private const int MaxIntegerBytes = 1024;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ReadOnlySpan<byte> _data = data;

    /// <summary>Bytes read so far.</summary>
    public int Position { get; private set; }

    public byte Byte() => Bytes(1)[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Bytes(2));

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Bytes(4));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Bytes(4));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Bytes(8));

    public double Double() => BinaryPrimitives.ReadDoubleBigEndian(Bytes(8));

    public ReadOnlySpan<byte> Bytes(ulong count)
    {
        if (count > (ulong)(_data.Length - Position))
        {
            throw Damaged($"{count} more bytes are needed and {_data.Length - Position} are left");
        }

        var bytes = _data.Slice(Position, (int)count);
        Position += (int)count;
        return bytes;
    }

    public string Text(ulong count)
    {
        try
        {
            return StrictUtf8.GetString(Bytes(count));
        }
        catch (DecoderFallbackException)
        {
            throw Damaged("a string is not valid UTF-8");
        }
    }

    public string Latin1(ulong count) => Encoding.Latin1.GetString(Bytes(count));

    /// <summary>The text up to the next line feed, which is skipped.</summary>
    public string Line()
    {
        var rest = _data[Position..];
        var length = rest[..Math.Min(rest.Length, MaxGlobalBytes)].IndexOf((byte)'\n');
        if (length < 0)
        {
            throw Damaged("a name has no end");
        }

        var line = Text((ulong)length);
        Position++;
        return line;
    }

    /// <summary>A two's complement integer: a long where it fits, else a <see cref="BigInteger"/>.</summary>
    public object Integer(ulong count)
    {
        if (count > MaxIntegerBytes)
        {
            throw Damaged($"an integer of {count} bytes is out of all reason");
        }

        var value = new BigInteger(Bytes(count));
        return value >= long.MinValue && value <= long.MaxValue ? (object)(long)value : value;
    }

    public readonly UserException Damaged(string why) => new($"{path} is damaged: at byte {Position} of its pickled data {why}.");
}
