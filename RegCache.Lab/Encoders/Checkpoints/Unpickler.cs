using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Builds the plain values and tensors that a pickle describes. A pickle is a program; this interpreter knows only
/// the instructions that build data, and calls nothing but the functions of <see cref="PickleCalls"/>, which build data.
/// </summary>
internal ref struct Unpickler
{
    private const long MinimumCopyLimit = 1 << 20;
    private const long CopiesPerByte = 16;

    private readonly string _path;
    private readonly Func<object?[], PickledStorage> _loadStorage;
    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = [];
    private readonly Dictionary<uint, object?> _memo = [];
    private PickleInput _input;
    private long _copied;

    private Unpickler(ReadOnlySpan<byte> data, string path, Func<object?[], PickledStorage> loadStorage)
    {
        _input = new PickleInput(data, path);
        _path = path;
        _loadStorage = loadStorage;
    }

    /// <summary>Reads one pickle from the start of the data.</summary>
    /// <param name="data">The pickle, and anything after it.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="loadStorage">Finds the storage of a persistent id, which is a tuple.</param>
    /// <param name="consumed">Length of the pickle in bytes.</param>
    public static object? Load(ReadOnlySpan<byte> data, string path, Func<object?[], PickledStorage> loadStorage, out int consumed)
    {
        var unpickler = new Unpickler(data, path, loadStorage);
        while (true)
        {
            var opcode = (PickleOpcode)unpickler._input.Byte();
            if (opcode == PickleOpcode.Stop)
            {
                consumed = unpickler._input.Position;
                return unpickler.Pop();
            }

            unpickler.Execute(opcode);
        }
    }

    private void Execute(PickleOpcode opcode)
    {
        switch (opcode)
        {
            case PickleOpcode.Proto: _input.Byte(); break;
            case PickleOpcode.Frame: _input.UInt64(); break;
            case PickleOpcode.None: Push(null); break;
            case PickleOpcode.NewTrue: Push(true); break;
            case PickleOpcode.NewFalse: Push(false); break;
            case PickleOpcode.BinInt: Push((long)_input.Int32()); break;
            case PickleOpcode.BinInt1: Push((long)_input.Byte()); break;
            case PickleOpcode.BinInt2: Push((long)_input.UInt16()); break;
            case PickleOpcode.Long1: Push(_input.Integer(_input.Byte())); break;
            case PickleOpcode.Long4: Push(_input.Integer(_input.UInt32())); break;
            case PickleOpcode.BinFloat: Push(_input.Double()); break;
            case PickleOpcode.BinUnicode: Push(_input.Text(_input.UInt32())); break;
            case PickleOpcode.ShortBinUnicode: Push(_input.Text(_input.Byte())); break;
            case PickleOpcode.BinUnicode8: Push(_input.Text(_input.UInt64())); break;
            case PickleOpcode.BinString: Push(_input.Latin1(_input.UInt32())); break;
            case PickleOpcode.ShortBinString: Push(_input.Latin1(_input.Byte())); break;
            case PickleOpcode.BinBytes: Push(_input.Bytes(_input.UInt32()).ToArray()); break;
            case PickleOpcode.ShortBinBytes: Push(_input.Bytes(_input.Byte()).ToArray()); break;
            case PickleOpcode.BinBytes8: Push(_input.Bytes(_input.UInt64()).ToArray()); break;
            case PickleOpcode.Mark: _marks.Push(_stack.Count); break;
            case PickleOpcode.Pop: PopOrUnmark(); break;
            case PickleOpcode.Dup: Push(Peek()); break;
            case PickleOpcode.EmptyDict: Push(new PythonDict()); break;
            case PickleOpcode.EmptyList or PickleOpcode.EmptySet: Push(new List<object?>()); break;
            case PickleOpcode.EmptyTuple: Push(Array.Empty<object?>()); break;
            case PickleOpcode.Tuple: Push(PopToMark()); break;
            case PickleOpcode.FrozenSet: Push(PopToMark().ToList()); break;
            case PickleOpcode.Tuple1: PushTuple(1); break;
            case PickleOpcode.Tuple2: PushTuple(2); break;
            case PickleOpcode.Tuple3: PushTuple(3); break;
            case PickleOpcode.Append: AppendTo([Pop()]); break;
            case PickleOpcode.Appends or PickleOpcode.AddItems: AppendTo(PopToMark()); break;
            case PickleOpcode.SetItem: SetItem(); break;
            case PickleOpcode.SetItems: SetItems(PopToMark()); break;
            case PickleOpcode.BinPut: _memo[_input.Byte()] = Peek(); break;
            case PickleOpcode.LongBinPut: _memo[_input.UInt32()] = Peek(); break;
            case PickleOpcode.Memoize: _memo[(uint)_memo.Count] = Peek(); break;
            case PickleOpcode.BinGet: Push(Recall(_input.Byte())); break;
            case PickleOpcode.LongBinGet: Push(Recall(_input.UInt32())); break;
            case PickleOpcode.Global: Push(new PythonGlobal(_input.Line(), _input.Line())); break;
            case PickleOpcode.StackGlobal: PushStackGlobal(); break;
            case PickleOpcode.BinPersId: Push(_loadStorage(PopAs<object?[]>("a storage's tuple"))); break;
            case PickleOpcode.Reduce: Reduce(); break;
            case PickleOpcode.NewObj: NewObject(); break;
            case PickleOpcode.Build: Build(); break;
            default: throw _input.Damaged($"there is an instruction 0x{(byte)opcode:x2} that weight files do not use");
        }
    }

    private readonly void Push(object? value) => _stack.Add(value);

    private readonly object? Peek() => _stack.Count > Floor() ? _stack[^1] : throw Underflow();

    private readonly object? Pop()
    {
        var value = Peek();
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private readonly T PopAs<T>(string what) =>
        Pop() is T value ? value : throw _input.Damaged($"something else stands where {what} belongs");

    private readonly object?[] PopToMark()
    {
        if (_marks.Count == 0)
        {
            throw Underflow();
        }

        var start = _marks.Pop();
        var items = _stack.GetRange(start, _stack.Count - start).ToArray();
        _stack.RemoveRange(start, items.Length);
        return items;
    }

    private readonly void PopOrUnmark()
    {
        if (_marks.Count > 0 && _marks.Peek() == _stack.Count)
        {
            _marks.Pop();
        }
        else
        {
            Pop();
        }
    }

    // Items below the last mark are out of reach until the mark is taken away.
    private readonly int Floor() => _marks.Count > 0 ? _marks.Peek() : 0;

    private readonly void PushTuple(int count)
    {
        var items = new object?[count];
        for (var index = count - 1; index >= 0; index--)
        {
            items[index] = Pop();
        }

        Push(items);
    }

    private readonly void AppendTo(object?[] items)
    {
        if (Peek() is not List<object?> list)
        {
            throw _input.Damaged("items are appended to something that is no list");
        }

        list.AddRange(items);
    }

    private readonly void SetItem()
    {
        var value = Pop();
        SetItems([Pop(), value]);
    }

    private readonly void SetItems(object?[] pairs)
    {
        if (Peek() is not PythonDict dict || pairs.Length % 2 != 0)
        {
            throw _input.Damaged("items are set in something that is no dict");
        }

        for (var index = 0; index < pairs.Length; index += 2)
        {
            dict[pairs[index] ?? DBNull.Value] = pairs[index + 1];
        }
    }

    private readonly object? Recall(uint index) =>
        _memo.TryGetValue(index, out var value) ? value : throw _input.Damaged($"the unknown memo {index} is recalled");

    private readonly void PushStackGlobal()
    {
        var name = PopAs<string>("a name");
        Push(new PythonGlobal(PopAs<string>("a module's name"), name));
    }

    // Some calls copy their argument. A few bytes of pickle could repeat such a call on one large argument without end,
    // so what calls may copy in all is limited by the length of the pickle that asks for it.
    private void Reduce()
    {
        var arguments = PopAs<object?[]>("a tuple of arguments");
        _copied += arguments.Sum(argument => argument switch
        {
            string text => text.Length,
            IReadOnlyCollection<object?> items => items.Count,
            _ => 1L,
        });
        if (_copied > MinimumCopyLimit + (CopiesPerByte * (long)_input.Position))
        {
            throw _input.Damaged("one value is copied over and over");
        }

        var function = PopAs<PythonGlobal>("a function's name");
        Push(PickleCalls.Call(function, arguments, _path));
    }

    private readonly void NewObject()
    {
        PopAs<object?[]>("a tuple of arguments");
        var type = PopAs<PythonGlobal>("a class's name");
        Push(type.IsTorchScriptClass ? new PythonObject($"{type.Module}.{type.Name}") : throw PickleCalls.Refused(type, _path));
    }

    private readonly void Build()
    {
        var state = Pop();
        switch (Peek())
        {
            // An OrderedDict's state is the attribute _metadata of state dicts: version numbers of modules.
            case PythonDict:
                break;
            case PythonObject target when state is PythonDict attributes:
                foreach (var (key, value) in attributes.Items)
                {
                    target.Attributes[key] = value;
                }

                break;
            case PythonGlobal function:
                throw PickleCalls.Refused(function, _path);
            default:
                throw _input.Damaged("a state is given to something that has none");
        }
    }

    private readonly UserException Underflow() => _input.Damaged("an instruction finds no operand");
}

/// <summary>The only functions that a weight file's pickle may call. Each builds data from data.</summary>
internal static class PickleCalls
{
    private const int MaxDimensions = 64;

    // A tensor may have more elements than its storage when it is an expanded view, but a file must not make this
    // program ask for any amount of memory it likes.
    private const long MaxExpandedElements = 1 << 24;

    public static object? Call(PythonGlobal function, object?[] arguments, string path) => (function.ToString(), arguments) switch
    {
        ("torch._utils _rebuild_tensor_v2", [PickledStorage storage, var offset, var size, var stride, _, _, ..]) =>
            Tensor(storage, storage.Type, offset, size, stride, path),
        ("torch._utils _rebuild_tensor", [PickledStorage storage, var offset, var size, var stride]) =>
            Tensor(storage, storage.Type, offset, size, stride, path),
        ("torch._utils _rebuild_tensor_v3", [PickledStorage storage, var offset, var size, var stride, _, _, PythonGlobal type, ..]) =>
            Tensor(storage, ElementType(type, path), offset, size, stride, path),
        ("torch._utils _rebuild_parameter", [WeightEntry tensor, ..]) => tensor,
        ("torch._utils _rebuild_parameter_with_state", [WeightEntry tensor, ..]) => tensor,
        ("torch._tensor _rebuild_from_type_v2", [PythonGlobal { Module: "torch._utils" } inner, PythonGlobal, object?[] innerArguments, _]) =>
            Call(inner, innerArguments, path),
        ("collections OrderedDict", []) => new PythonDict(),
        ("collections OrderedDict", [IReadOnlyList<object?> pairs]) => Dict(pairs, path),
        ("collections defaultdict", []) => new PythonDict(),
        ("collections defaultdict", [PythonGlobal]) => new PythonDict(),
        ("torch Size", [IReadOnlyList<object?> sizes]) => sizes.ToArray(),
        ("torch device", [string kind]) => kind,
        ("torch device", [string kind, long index]) => string.Create(CultureInfo.InvariantCulture, $"{kind}:{index}"),
        ("builtins set" or "__builtin__ set", [List<object?> items]) => items,
        ("builtins frozenset" or "__builtin__ frozenset", [List<object?> items]) => items,
        ("_codecs encode", [string text, "latin1"]) => Encoding.Latin1.GetBytes(text),
        ("torch.jit._pickle build_intlist" or "torch.jit._pickle build_doublelist", [List<object?> items]) => items,
        ("torch.jit._pickle build_boollist" or "torch.jit._pickle build_tensorlist", [List<object?> items]) => items,
        ("torch.jit._pickle restore_type_tag", [var value, _]) => value,
        _ => throw Refused(function, path),
    };

    public static UserException Refused(PythonGlobal function, string path) =>
        new($"{path} asks to run `{function}` in a way that weight data never does; nothing was run, use a plain state dict or a safetensors file.");

    private static WeightEntry Tensor(PickledStorage storage, ScalarType? elementType, object? offset, object? size, object? stride, string path)
    {
        if (elementType is not { } type || offset is not long start || start < 0)
        {
            throw Damaged(path, "a tensor without element type or offset");
        }

        var shape = Numbers(size, path);
        var strides = Numbers(stride, path);
        if (shape.Length != strides.Length)
        {
            throw Damaged(path, $"a tensor of {shape.Length} sizes and {strides.Length} strides");
        }

        // The last element's position and the number of elements, in 128 bits; each is checked before it can overflow.
        var available = storage.Bytes.ByteLength / ScalarTypes.Size(type);
        var (last, count) = ((Int128)start, (Int128)1);
        for (var axis = 0; axis < shape.Length; axis++)
        {
            last = last > long.MaxValue || shape[axis] == 0 ? last : last + ((Int128)(shape[axis] - 1) * strides[axis]);
            count = count > long.MaxValue ? count : count * shape[axis];
        }

        if (count > 0 && last >= available)
        {
            throw Damaged(path, $"a tensor of shape {WeightEntry.Describe(shape)} that reaches beyond its {available} stored elements");
        }

        if (count > Math.Max(available, MaxExpandedElements))
        {
            throw Damaged(path, $"a tensor of shape {WeightEntry.Describe(shape)} that is expanded from {available} elements");
        }

        return WeightEntry.View(string.Empty, type, shape, storage.Bytes, count == 0 ? 0 : start, strides);
    }

    private static long[] Numbers(object? value, string path)
    {
        if (value is not IReadOnlyList<object?> items || items.Count > MaxDimensions || items.Any(item => item is not >= 0L))
        {
            throw Damaged(path, "a tensor whose sizes or strides are not whole numbers from 0 on");
        }

        return [.. items.Cast<long>()];
    }

    private static ScalarType ElementType(PythonGlobal type, string path) =>
        (type.Module == "torch" ? ScalarTypes.FromPythonName(type.Name) : null)
        ?? throw new UserException($"{path} holds a tensor of type {type.Module}.{type.Name}, which is not supported; convert it to float32 first.");

    private static PythonDict Dict(IReadOnlyList<object?> pairs, string path)
    {
        var dict = new PythonDict();
        foreach (var pair in pairs)
        {
            if (pair is not IReadOnlyList<object?> { Count: 2 } keyAndValue)
            {
                throw Damaged(path, "an OrderedDict that is not made of pairs");
            }

            dict[keyAndValue[0] ?? DBNull.Value] = keyAndValue[1];
        }

        return dict;
    }

    private static UserException Damaged(string path, string what) => new($"{path} is damaged: its pickled data describes {what}.");
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

/// <summary>The pickle opcodes that weight files use, and those tolerated beside them.</summary>
internal enum PickleOpcode : byte
{
    Mark = (byte)'(',
    Stop = (byte)'.',
    Pop = (byte)'0',
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
    StackGlobal = 0x93,
    Memoize = 0x94,
    Frame = 0x95,
}
