using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>Writes plain values and tensors as a pickle of protocol 2 that <c>torch.load</c> understands.</summary>
internal sealed class Pickler
{
    private const int MaxDepth = 100;

    private readonly ArrayBufferWriter<byte> _output = new();
    private readonly Dictionary<string, int> _globals = [];
    private readonly List<WeightEntry> _storages = [];

    private Pickler()
    {
    }

    /// <summary>The pickle, and the tensors whose bytes are the storages "0", "1", ... in order.</summary>
    /// <exception cref="UserException">A value is of a type that a checkpoint cannot hold, or nested too deeply.</exception>
    public static (byte[] Pickle, IReadOnlyList<WeightEntry> Storages) Pickle(object? root)
    {
        var pickler = new Pickler();
        pickler.Put(PickleOpcode.Proto);
        pickler._output.Write<byte>([2]);
        pickler.Write(root, 0);
        pickler.Put(PickleOpcode.Stop);
        return (pickler._output.WrittenSpan.ToArray(), pickler._storages);
    }

    private void Write(object? value, int depth)
    {
        if (depth > MaxDepth)
        {
            throw new UserException($"A checkpoint cannot hold values nested in more than {MaxDepth} levels.");
        }

        switch (value)
        {
            case null or DBNull: Put(PickleOpcode.None); break;
            case bool truth: Put(truth ? PickleOpcode.NewTrue : PickleOpcode.NewFalse); break;
            case int number: WriteInteger(number); break;
            case long number: WriteInteger(number); break;
            case BigInteger number: WriteBigInteger(number); break;
            case float number: WriteDouble(number); break;
            case double number: WriteDouble(number); break;
            case string text: WriteText(text); break;
            case WeightEntry tensor: WriteTensor(tensor); break;
            case PythonDict dict: WriteDict(dict, depth); break;
            case object?[] tuple: WriteItems(tuple, PickleOpcode.Tuple, depth); break;
            case IEnumerable<object?> list:
                Put(PickleOpcode.EmptyList);
                WriteItems(list, PickleOpcode.Appends, depth);
                break;
            default:
                throw new UserException($"A checkpoint cannot hold a value of type {value.GetType().Name}.");
        }
    }

    private void WriteDict(PythonDict dict, int depth)
    {
        Put(PickleOpcode.EmptyDict);
        Put(PickleOpcode.Mark);
        foreach (var (key, value) in dict.Items)
        {
            Write(key, depth + 1);
            Write(value, depth + 1);
        }

        Put(PickleOpcode.SetItems);
    }

    private void WriteItems(IEnumerable<object?> items, PickleOpcode end, int depth)
    {
        Put(PickleOpcode.Mark);
        foreach (var item in items)
        {
            Write(item, depth + 1);
        }

        Put(end);
    }

    private void WriteTensor(WeightEntry tensor)
    {
        WriteGlobal("torch._utils", "_rebuild_tensor_v2");
        Put(PickleOpcode.Mark);
        Put(PickleOpcode.Mark);
        WriteText("storage");
        WriteGlobal("torch", ScalarTypes.StorageName(tensor.Type));
        WriteText(_storages.Count.ToString(CultureInfo.InvariantCulture));
        WriteText("cpu");
        WriteInteger(tensor.ElementCount);
        Put(PickleOpcode.Tuple);
        Put(PickleOpcode.BinPersId);
        WriteInteger(0);
        WriteItems(tensor.Shape.Cast<object>(), PickleOpcode.Tuple, 0);
        WriteItems(WeightPart.ContiguousStrides(tensor.Shape).Cast<object>(), PickleOpcode.Tuple, 0);
        Put(PickleOpcode.NewFalse);
        WriteGlobal("collections", "OrderedDict");
        Put(PickleOpcode.EmptyTuple);
        Put(PickleOpcode.Reduce);
        Put(PickleOpcode.Tuple);
        Put(PickleOpcode.Reduce);
        _storages.Add(tensor);
    }

    private void WriteGlobal(string module, string name)
    {
        var line = $"{module}\n{name}\n";
        if (_globals.TryGetValue(line, out var known))
        {
            Put(PickleOpcode.BinGet);
            _output.Write([(byte)known]);
            return;
        }

        Put(PickleOpcode.Global);
        _output.Write(Encoding.ASCII.GetBytes(line));
        Put(PickleOpcode.BinPut);
        _output.Write([(byte)_globals.Count]);
        _globals.Add(line, _globals.Count);
    }

    private void WriteInteger(long number)
    {
        if (number is < int.MinValue or > int.MaxValue)
        {
            WriteBigInteger(number);
            return;
        }

        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, (int)number);
        Put(PickleOpcode.BinInt);
        _output.Write(bytes);
    }

    private void WriteBigInteger(BigInteger number)
    {
        var bytes = number.ToByteArray();
        if (bytes.Length > byte.MaxValue)
        {
            throw new UserException("A checkpoint cannot hold an integer of more than 255 bytes.");
        }

        Put(PickleOpcode.Long1);
        _output.Write([(byte)bytes.Length]);
        _output.Write(bytes);
    }

    private void WriteDouble(double number)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteDoubleBigEndian(bytes, number);
        Put(PickleOpcode.BinFloat);
        _output.Write(bytes);
    }

    private void WriteText(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        Put(PickleOpcode.BinUnicode);
        _output.Write(length);
        _output.Write(bytes);
    }

    private void Put(PickleOpcode opcode) => _output.Write([(byte)opcode]);
}
