using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Standins;

public sealed class DataTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Elements_can_be_read_and_written()
    {
        using var cells = arange(6, dtype: float32).view(2, 3).data<float>();
        Assert.Equal(6, cells.Count);
        Assert.Equal(5f, cells[1, 2]);
        Assert.Equal(4f, cells[4]);
        cells[1, 2] = 9;
        Assert.Equal([0f, 1, 2, 3, 4, 9], cells.ToArray());
        cells.CopyFrom([7f, 8], tensorIndex: 2);
        Assert.Equal([0f, 1, 7, 8, 4, 9], cells);
        var part = new float[3];
        cells.CopyTo(part.AsSpan(), 1, 4);
        Assert.Equal([0f, 4, 9], part);
        Assert.Equal(new float[,] { { 0, 1, 7 }, { 8, 4, 9 } }, (float[,])cells.ToNDArray());
        Assert.Throws<IndexOutOfRangeException>(() => cells[2, 0]);
        Assert.Throws<IndexOutOfRangeException>(() => cells[6]);
        Assert.Throws<ArgumentException>(() => cells[0, 0, 0]);
    }

    [Fact]
    public void Strided_tensors_are_read_in_row_major_order()
    {
        using var cells = arange(6).view(2, 3).T.data<long>();
        Assert.Equal([0L, 3, 1, 4, 2, 5], cells.ToArray());
        Assert.Equal(4L, cells[1, 1]);
        Assert.Equal([0L, 3, 1, 4, 2, 5], cells.AsEnumerable());
        cells.CopyFrom([10, 20]);
        Assert.Equal([10L, 20, 1, 4, 2, 5], cells.ToArray());
    }

    [Fact]
    public void The_element_type_must_be_the_tensors()
    {
        Assert.Throws<ArgumentException>(() => zeros(2).data<double>());
        Assert.Throws<ArgumentException>(() => zeros(1).item<int>());
        Assert.Throws<ArgumentException>(() => zeros(2).item<float>());
        Assert.Equal(1.5f, tensor(1.5f).item<float>());
        Assert.Equal(1.5, tensor(1.5f).ToDouble());
        Assert.Equal(2, tensor(2L).ToInt32());
        Assert.True(tensor(2f).ToBoolean());
        Assert.Equal(1.5f, tensor(new[] { 1.5f }, bfloat16).ToSingle());
    }

    [Fact]
    public void Bytes_are_the_memory_itself()
    {
        var x = zeros(2, int32);
        MemoryMarshal.Cast<byte, int>(x.bytes)[1] = 5;
        TensorAssert.Equal([0, 5], x);
        x.bytes = new byte[] { 1, 0, 0, 0, 2, 0, 0, 0 };
        TensorAssert.Equal([1, 2], x);
        Assert.Throws<ArgumentException>(() => x.bytes = new byte[3]);
        Assert.Throws<NotImplementedException>(() => _ = zeros(2, 2).T.bytes.Length);
        Assert.Equal(0, zeros(0).bytes.Length);
    }

    [Fact]
    public void Bytes_pass_through_streams()
    {
        using var stream = new MemoryStream();
        var x = rand(3, 5);
        x.WriteBytesToStream(stream);
        Assert.Equal(60, stream.Length);
        stream.Position = 0;
        var y = empty(3, 5);
        y.ReadBytesFromStream(stream);
        Assert.True(x.allclose(y, 0, 0));
        stream.Position = 30;
        Assert.Throws<EndOfStreamException>(() => y.ReadBytesFromStream(stream));
    }
}
