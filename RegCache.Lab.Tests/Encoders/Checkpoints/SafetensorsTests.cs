using System.Buffers.Binary;
using System.Text;
using RegCache.Lab.Encoders.Checkpoints;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>Safetensors files: what is written comes back, and every kind of damage is named.</summary>
public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void WrittenFilesComeBack()
    {
        WeightEntry[] entries =
        [
            WeightEntry.FromValues<bool>("flags", [true, false, true], 3),
            WeightEntry.FromValues<float>("matrix", [1, 2, 3, 4, 5, 6], 2, 3).Transpose(),
            WeightEntry.FromValues<double>("scalar ü\"", [Math.PI]),
            WeightEntry.FromValues<Half>("half", [(Half)0.5, (Half)(-2)], 2, 1),
            WeightEntry.FromBytes("bf16", ScalarType.BFloat16, [0x80, 0x3f, 0x40, 0xc0], 2),
            WeightEntry.FromValues<long>("longs", [long.MinValue, 7], 2),
            WeightEntry.FromValues<int>("ints", [-1], 1),
            WeightEntry.FromValues<short>("shorts", [3, 4, 5], 3),
            WeightEntry.FromValues<sbyte>("small", [-128], 1),
            WeightEntry.FromValues<byte>("bytes", [], 0, 4),
        ];
        var metadata = new Dictionary<string, string> { ["format"] = "pt", ["note"] = "a \"quoted\"\nline" };

        SafetensorsWriter.Write(_folder["all.safetensors"], entries, metadata);

        using var file = WeightFile.Open(_folder["all.safetensors"]);
        Assert.Equal(entries.Select(entry => entry.Name), file.Tensors.Select(entry => entry.Name));
        EntryAssert.Equal(entries, file.Tensors);
        Assert.Equal(metadata, file.Metadata);
        Assert.Equal([1f, -3f], file["bf16"].ToSingles());
        Assert.Single(Directory.GetFiles(_folder.Root));
    }

    [Fact]
    public void ContentDecidesAndNotTheExtension()
    {
        SafetensorsWriter.Write(_folder["weights.pt"], [WeightEntry.FromValues<float>("w", [1f], 1)]);

        using var file = WeightFile.Open(_folder["weights.pt"]);
        Assert.Equal(WeightContainer.Safetensors, file.Container);

        PickleBuilder.WriteStateDict(_folder["weights.safetensors"], file.Tensors);
        using var zip = WeightFile.Open(_folder["weights.safetensors"]);
        Assert.Equal(WeightContainer.TorchZip, zip.Container);
    }

    [Fact]
    public void NamesMustDiffer()
    {
        var entry = WeightEntry.FromValues<float>("w", [1f], 1);

        Assert.Throws<UserException>(() => SafetensorsWriter.Write(_folder["twice.safetensors"], [entry, entry]));
        Assert.Empty(Directory.GetFiles(_folder.Root));
    }

    [Fact]
    public void EntriesOfAClosedFileAreNotReadable()
    {
        SafetensorsWriter.Write(_folder["closed.safetensors"], [WeightEntry.FromValues<float>("w", [1f], 1)]);
        var file = WeightFile.Open(_folder["closed.safetensors"]);
        var entry = file["w"];
        file.Dispose();

        Assert.Throws<ObjectDisposedException>(() => entry.ToSingles());
    }

    [Theory]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4, null)]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   """, 4, null)]
    [InlineData("""{"w":{"dtype":"F32","shape":[0,9],"data_offsets":[0,0]},"v":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}""", 1, null)]
    [InlineData("""{}""", 0, null)]
    [InlineData("""{"w":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}""", 4, "F33")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 5, "belong to no tensor")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 3, "w lies at bytes 0..4 of 3")]
    [InlineData("""{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "given 4 bytes")]
    [InlineData("""{"w":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}""", 4, "given 4 bytes")]
    [InlineData("""{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "w.shape")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "w.shape")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "w lies at bytes 4..0")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0]}}""", 4, "two data_offsets")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1]}}""", 4, "two data_offsets")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}""", 4, "shape")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"extra":1}}""", 4, "extra")]
    [InlineData("""{"w":3}""", 0, "w is a Number")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "w occurs twice")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"v":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""", 6, "v overlaps")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 4, "overlaps")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"v":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}""", 12, "4 bytes before tensor v")]
    [InlineData("""{"__metadata__":{"a":1}}""", 0, "__metadata__.a")]
    [InlineData("""{"__metadata__":{"a":"1","a":"2"}}""", 0, "a occurs twice")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}""", 4, "damaged safetensors header")]
    [InlineData("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} x""", 4, "damaged safetensors header")]
    [InlineData("""{"w":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[""", 0, "damaged safetensors header")]
    public void HeadersAreCheckedStrictly(string header, int dataBytes, string? complaint)
    {
        var path = Write(header, dataBytes);
        if (complaint is null)
        {
            using var file = WeightFile.Open(path);
            Assert.All(file.Tensors, tensor => Assert.Equal(tensor.ElementCount, tensor.ToSingles().Length));
            return;
        }

        var error = Assert.Throws<UserException>(() => WeightFile.Open(path));
        Assert.Contains(complaint, error.Message, StringComparison.Ordinal);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100_000_001, "allows 100000000")]
    [InlineData(long.MaxValue, "allows 100000000")]
    [InlineData(-1, "allows 100000000")]
    [InlineData(4096, "cut short")]
    public void HeaderLengthsAreCheckedBeforeAnythingIsRead(long length, string complaint)
    {
        var path = Write("{}", 0, length);

        Assert.Contains(complaint, Assert.Throws<UserException>(() => WeightFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void InvalidUtf8IsRefused()
    {
        var path = Write("{\"?\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
        var bytes = File.ReadAllBytes(path);
        bytes[Array.IndexOf(bytes, (byte)'?')] = 0xff;
        File.WriteAllBytes(path, bytes);

        Assert.Throws<UserException>(() => WeightFile.Open(path));
    }

    private string Write(string header, int dataBytes, long? length = null)
    {
        var path = _folder["made.safetensors"];
        var json = Encoding.UTF8.GetBytes(header);
        var prefix = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, length ?? json.Length);
        File.WriteAllBytes(path, [.. prefix, .. json, .. new byte[dataBytes]]);
        return path;
    }
}
