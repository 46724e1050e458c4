using System.Buffers.Binary;
using System.Text;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Tests.Checkpoints;

/// <summary>Writes pickles instruction by instruction, also ones that no sane program writes.</summary>
internal sealed class PickleBuilder
{
    private readonly List<byte> _bytes = [0x80, 2];

    public PickleBuilder Op(params PickleOpcode[] opcodes)
    {
        _bytes.AddRange(opcodes.Select(opcode => (byte)opcode));
        return this;
    }

    public PickleBuilder Raw(params byte[] bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    public PickleBuilder Global(string module, string name)
    {
        Op(PickleOpcode.Global);
        return Raw(Encoding.ASCII.GetBytes($"{module}\n{name}\n"));
    }

    public PickleBuilder Text(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return Op(PickleOpcode.BinUnicode).Raw(Number(bytes.Length)).Raw(bytes);
    }

    public PickleBuilder Int(long number) => number is >= int.MinValue and <= int.MaxValue
        ? Op(PickleOpcode.BinInt).Raw(Number((int)number))
        : Op(PickleOpcode.Long1).Raw(8).Raw(BitConverter.GetBytes(number));

    public PickleBuilder Tuple(params long[] numbers)
    {
        Op(PickleOpcode.Mark);
        Array.ForEach(numbers, number => Int(number));
        return Op(PickleOpcode.Tuple);
    }

    /// <summary>A tensor of the storage "0".</summary>
    public PickleBuilder Tensor(long offset, long[] sizes, long[] strides, string storageClass = "FloatStorage", long elements = 4)
    {
        Global("torch._utils", "_rebuild_tensor_v2").Op(PickleOpcode.Mark, PickleOpcode.Mark);
        Text("storage").Global("torch", storageClass).Text("0").Text("cpu").Int(elements).Op(PickleOpcode.Tuple, PickleOpcode.BinPersId);
        return Int(offset).Tuple(sizes).Tuple(strides).Op(PickleOpcode.NewFalse, PickleOpcode.None, PickleOpcode.Tuple, PickleOpcode.Reduce);
    }

    public byte[] Finish()
    {
        Op(PickleOpcode.Stop);
        return [.. _bytes];
    }

    /// <summary>Writes a PyTorch zip file with the pickle and a storage "0" of four floats.</summary>
    public string WriteZip(string path, string byteOrder = "little")
    {
        var pickle = Finish();
        using var stream = File.Create(path);
        var archive = new ZipWriter(stream);
        archive.Add("root/data.pkl", pickle.Length, output => output.Write(pickle));
        archive.Add("root/byteorder", byteOrder.Length, output => output.Write(Encoding.ASCII.GetBytes(byteOrder)));
        archive.Add("root/data/0", 16, output => output.Write(new byte[16]));
        archive.Finish();
        return path;
    }

    private static byte[] Number(int number)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        return bytes;
    }
}
