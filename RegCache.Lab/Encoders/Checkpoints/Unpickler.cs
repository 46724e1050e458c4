namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Builds the plain values and tensors that a pickle describes. A pickle is a program; this interpreter knows only
/// the instructions that build data, and calls nothing but the functions of <see cref="PickleCalls"/>, which build data.
/// Whatever else a file describes becomes a <see cref="PythonObject"/>, which holds values and does nothing.
/// </summary>
internal ref struct Unpickler
{
    // Longer contents stay where they are.
    private const ulong MostBytesCopied = 1 << 16;
    private const long MinimumCopyLimit = 1 << 20;
    private const long CopiesPerByte = 16;

    private readonly string _path;
    private readonly Func<object?[], object> _loadStorage;
    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = [];
    private readonly Dictionary<uint, object?> _memo = [];
    private PickleInput _input;
    private long _copied;

    private Unpickler(ReadOnlySpan<byte> data, string path, Func<object?[], object> loadStorage)
    {
        _input = new PickleInput(data, path);
        _path = path;
        _loadStorage = loadStorage;
    }

    /// <summary>Reads one pickle from the start of the data.</summary>
    /// <param name="data">The pickle, and anything after it.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="loadStorage">Finds the <see cref="PickledStorage"/> of a persistent id, which is a tuple; or what stands for one.</param>
    /// <param name="consumed">Length of the pickle in bytes.</param>
    public static object? Load(ReadOnlySpan<byte> data, string path, Func<object?[], object> loadStorage, out int consumed)
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
            case PickleOpcode.BinString: PushLatin1(_input.UInt32()); break;
            case PickleOpcode.ShortBinString: Push(_input.Latin1(_input.Byte())); break;
            case PickleOpcode.BinBytes: PushBytes(_input.UInt32()); break;
            case PickleOpcode.ShortBinBytes: PushBytes(_input.Byte()); break;
            case PickleOpcode.BinBytes8 or PickleOpcode.ByteArray8: PushBytes(_input.UInt64()); break;
            case PickleOpcode.Mark: _marks.Push(_stack.Count); break;
            case PickleOpcode.Pop: PopOrUnmark(); break;
            case PickleOpcode.PopMark: PopToMark(); break;
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
            case PickleOpcode.NewObj: NewObject(keywords: false); break;
            case PickleOpcode.NewObjEx: NewObject(keywords: true); break;
            case PickleOpcode.Build: Build(); break;
            default: throw _input.Damaged($"there is an instruction 0x{(byte)opcode:x2} which this kit does not know");
        }
    }

    private readonly void Push(object? value) => _stack.Add(value);

    private void PushBytes(ulong length) => Push(length > MostBytesCopied ? Range(length) : _input.Bytes(length).ToArray());

    private void PushLatin1(ulong length) => Push(length > MostBytesCopied ? Range(length) : _input.Latin1(length));

    private PickledBytes Range(ulong length)
    {
        var start = _input.Position;
        return new(start, _input.Bytes(length).Length);
    }

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
        switch (Peek())
        {
            case List<object?> list:
                list.AddRange(items);
                break;
            case PythonObject target:
                foreach (var item in items)
                {
                    target.Attributes[(long)target.Attributes.Count] = item;
                }

                break;
            default:
                throw _input.Damaged("items are appended to something that is no list");
        }
    }

    private readonly void SetItem()
    {
        var value = Pop();
        SetItems([Pop(), value]);
    }

    private readonly void SetItems(object?[] pairs)
    {
        if ((Peek() as PythonDict ?? (Peek() as PythonObject)?.Attributes) is not { } dict || pairs.Length % 2 != 0)
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

        Push(Pop() switch
        {
            PythonGlobal function => PickleCalls.Call(function, arguments, _path),
            PythonObject made => new PythonObject(made.Type),
            _ => throw _input.Damaged("something else stands where a function's name belongs"),
        });
    }

    private readonly void NewObject(bool keywords)
    {
        if (keywords)
        {
            PopAs<PythonDict>("a dict of arguments");
        }

        PopAs<object?[]>("a tuple of arguments");
        Push(Pop() switch
        {
            PythonGlobal type => new PythonObject(type.ToString()),
            PythonObject made => new PythonObject(made.Type),
            _ => throw _input.Damaged("something else stands where a class's name belongs"),
        });
    }

    private readonly void Build()
    {
        var state = Pop();
        switch (Peek())
        {
            // An OrderedDict's state is the attribute _metadata of state dicts: version numbers of modules. A tensor's is of no use, too.
            case PythonDict or WeightEntry:
                break;

            // A state is a dict of attributes, alone or in a tuple with one of slots, or means something to its class alone.
            case PythonObject target:
                target.State = state;
                foreach (var (key, value) in (state as object?[] ?? [state]).OfType<PythonDict>().SelectMany(attributes => attributes))
                {
                    target.Attributes[key] = value;
                }

                break;
            case PythonGlobal type:
                throw _input.Damaged($"a state is given to `{type}` itself");
            default:
                throw _input.Damaged("a state is given to something that has none");
        }
    }

    private readonly UserException Underflow() => _input.Damaged("an instruction finds no operand");
}
