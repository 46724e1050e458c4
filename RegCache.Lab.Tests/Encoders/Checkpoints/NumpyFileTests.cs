using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using RegCache.Lab.Encoders.Checkpoints;
using TorchSharp;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

public sealed class NumpyFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("()")]
    [InlineData("(3,)", 3)]
    [InlineData("(2, 3)", 2, 3)]
    [InlineData("(0, 4, 1)", 0, 4, 1)]
    public void TheHeaderIsNumPysAndTheDataFollows(string shape, params int[] sizes)
    {
        using var scope = torch.NewDisposeScope();
        var values = torch.randn([.. sizes.Select(size => (long)size)]);
        NumpyFile.Write(_folder["a.npy"], WeightEntry.FromTensor("a", values));
        var bytes = File.ReadAllBytes(_folder["a.npy"]);
        Assert.Equal([0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0], bytes[..8]);
        var start = 10 + BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(8));
        Assert.Equal(0, start % 64);
        var header = Encoding.ASCII.GetString(bytes[10..start]);
        Assert.EndsWith("\n", header, StringComparison.Ordinal);
        Assert.Equal($"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}", header.TrimEnd());
        Assert.Equal(values.data<float>().ToArray(), MemoryMarshal.Cast<byte, float>(bytes.AsSpan(start)).ToArray());
    }

    [Theory]
    [InlineData(torch.ScalarType.Float64, "<f8")]
    [InlineData(torch.ScalarType.Float16, "<f2")]
    [InlineData(torch.ScalarType.Int64, "<i8")]
    [InlineData(torch.ScalarType.Int32, "<i4")]
    [InlineData(torch.ScalarType.Int16, "<i2")]
    [InlineData(torch.ScalarType.Int8, "|i1")]
    [InlineData(torch.ScalarType.Byte, "|u1")]
    [InlineData(torch.ScalarType.Bool, "|b1")]
    public void TypesHaveNumPysNames(torch.ScalarType type, string name)
    {
        using var ones = torch.ones(2, dtype: type);
        Assert.Contains($"'{name}'", Encoding.ASCII.GetString(NumpyFile.Header(WeightEntry.FromTensor("a", ones))), StringComparison.Ordinal);
    }

    [Fact]
    public void ATypeThatNumPyLacksIsRefused()
    {
        using var ones = torch.ones(2, dtype: torch.ScalarType.BFloat16);
        var error = Assert.Throws<UserException>(() => NumpyFile.Write(_folder["a.npy"], WeightEntry.FromTensor("a", ones)));
        Assert.Contains("convert it to Float32", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Root));
    }

    // Debian's PyTorch brings NumPy.
    [PyTorchFact]
    public void NumPyReadsIt()
    {
        using var values = torch.arange(6, dtype: torch.ScalarType.Float32).reshape(2, 3).t();
        NumpyFile.Write(_folder["a.npy"], WeightEntry.FromTensor("a", values));
        var (code, output, error) = ExternalProcess.Run(
            PyTorchFactAttribute.Python, ["-c", "import sys, numpy; a = numpy.load(sys.argv[1]); print(a.dtype, a.shape, a.tolist())", _folder["a.npy"]]);
        Assert.True(code == 0, error);
        Assert.Equal("float32 (3, 2) [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]", output.Trim());
    }
}
