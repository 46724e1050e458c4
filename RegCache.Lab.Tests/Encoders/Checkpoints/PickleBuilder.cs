using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using RegCache.Lab.Encoders.Checkpoints;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

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

    /// <summary>A tensor of a storage.</summary>
    public PickleBuilder Tensor(long offset, long[] sizes, long[] strides, string storageClass = "FloatStorage", long elements = 4, string key = "0")
    {
        Global("torch._utils", "_rebuild_tensor_v2").Op(PickleOpcode.Mark, PickleOpcode.Mark);
        Text("storage").Global("torch", storageClass).Text(key).Text("cpu").Int(elements).Op(PickleOpcode.Tuple, PickleOpcode.BinPersId);
        return Int(offset).Tuple(sizes).Tuple(strides).Op(PickleOpcode.NewFalse, PickleOpcode.None, PickleOpcode.Tuple, PickleOpcode.Reduce);
    }

    /// <summary>Writes a state dict of float or long tensors, each with a storage of its own.</summary>
    public static void WriteStateDict(string path, IEnumerable<WeightEntry> entries, Action<PickleBuilder>? more = null)
    {
        var pickle = new PickleBuilder().Op(PickleOpcode.EmptyDict);
        var storages = new List<byte[]>();
        foreach (var entry in entries)
        {
            var strides = entry.Shape.Select((_, axis) => entry.Shape.Skip(axis + 1).Aggregate(1L, (product, size) => product * size));
            pickle.Text(entry.Name).Tensor(
                0, [.. entry.Shape], [.. strides], entry.Type == ScalarType.Int64 ? "LongStorage" : "FloatStorage", entry.ElementCount,
                storages.Count.ToString(CultureInfo.InvariantCulture)).Op(PickleOpcode.SetItem);
            storages.Add(EntryAssert.Bytes(entry));
        }

        more?.Invoke(pickle);
        pickle.WriteZip(path, [.. storages]);
    }

    /// <summary>The members of a PyTorch zip file: the pickle and its storages, by default one of four floats.</summary>
    public IReadOnlyList<(string Name, byte[] Content)> Members(string byteOrder, params byte[][] storages) =>
    [
        ("root/data.pkl", Finish()),
        ("root/byteorder", Encoding.ASCII.GetBytes(byteOrder)),
        .. (storages.Length > 0 ? storages : [new byte[16]]).Select((bytes, index) => (string.Create(CultureInfo.InvariantCulture, $"root/data/{index}"), bytes)),
    ];

    /// <summary>Writes a PyTorch zip file.</summary>
    public string WriteZip(string path, params byte[][] storages) => WriteZip(path, Members("little", storages));

    public static string WriteZip(string path, IEnumerable<(string Name, byte[] Content)> members, CompressionLevel compression = CompressionLevel.NoCompression)
    {
        using var archive = new ZipArchive(File.Create(path), ZipArchiveMode.Create);
        foreach (var (name, content) in members)
        {
            using var stream = archive.CreateEntry(name, compression).Open();
            stream.Write(content);
        }

        return path;
    }

    public byte[] Finish()
    {
        Op(PickleOpcode.Stop);
        return [.. _bytes];
    }

    private static byte[] Number(int number)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        return bytes;
    }
}
