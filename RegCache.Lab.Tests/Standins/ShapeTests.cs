using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Standins;

public sealed class ShapeTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly Tensor x = arange(6).view(2, 3);

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Metadata_tells_size_strides_and_type()
    {
        Assert.Equal([2, 3], x.shape);
        Assert.Equal([3, 1], x.stride());
        Assert.Equal(3, x.size(-1));
        Assert.Equal(2, x.ndim);
        Assert.Equal(6, x.numel());
        Assert.Equal(8, x.ElementSize);
        Assert.Equal(DeviceType.CPU, x.device_type);
        Assert.Equal("cpu", x.device.ToString());
        Assert.True(x.is_contiguous());
        Assert.False(x.T.is_contiguous());
        Assert.Equal(2, x[0, 2..].storage_offset());
        Assert.Throws<IndexOutOfRangeException>(() => x.size(2));
        Assert.Equal("[2x3], type = Int64, device = cpu", x.ToString());
        Assert.Contains("[[0, 1, 2]", x.ToString(TensorStringStyle.Default), StringComparison.Ordinal);
    }

    [Fact]
    public void Reshaping()
    {
        TensorAssert.Equal([3, 2], [0, 1, 2, 3, 4, 5], x.reshape(3, -1));
        TensorAssert.Equal([3, 2], [0, 3, 1, 4, 2, 5], x.transpose(0, 1));
        TensorAssert.Equal([3, 2], [0, 3, 1, 4, 2, 5], x.permute(1, 0).contiguous());
        TensorAssert.Equal([3, 2], [0, 3, 1, 4, 2, 5], x.mT);
        Assert.Equal([2, 1, 3], x.unsqueeze(1).shape);
        Assert.Equal([2, 3], x.unsqueeze(1).squeeze(1).shape);
        Assert.Equal([2, 3], x.unsqueeze(0).unsqueeze(-1).squeeze().shape);
        Assert.Equal([4, 2, 3], x.expand(4, -1, -1).shape);
        Assert.Equal([6], x.flatten().shape);
        Assert.Equal([2, 3, 1], x.unflatten(1, 3, 1).shape);
        TensorAssert.Equal([2, 2], [1, 2, 4, 5], x.narrow(1, 1, 2));
        TensorAssert.Equal([2, 2, 2], [0, 1, 1, 2, 3, 4, 4, 5], x.unfold(1, 2, 1));
        Assert.Equal([3, 2], x.movedim([0], [1]).shape);
    }

    [Fact]
    public void Repeating_turning_and_shifting()
    {
        TensorAssert.Equal([2, 4], [0, 1, 0, 1, 0, 1, 0, 1], arange(2).repeat(2, 2));
        TensorAssert.Equal([0, 0, 1, 1], repeat_interleave(arange(2), 2));
        TensorAssert.Equal([0, 1, 1], arange(2).repeat_interleave(tensor(new[] { 1L, 2 })));
        TensorAssert.Equal([2, 3], [3, 4, 5, 0, 1, 2], x.flip(0));
        TensorAssert.Equal([2, 3], [2, 0, 1, 5, 3, 4], roll(x, 1, 1));
        TensorAssert.Equal([2, 3], [0, 0, 0, 3, 4, 0], tril(x));
        TensorAssert.Equal([2, 3], [0, 1, 2, 0, 4, 5], x.triu());
    }

    [Fact]
    public void Joining_and_splitting()
    {
        TensorAssert.Equal([4, 3], [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5], cat([x, x]));
        Assert.Equal([2, 6], concat([x, x], 1).shape);
        Assert.Equal([2, 2, 3], stack([x, x]).shape);
        Assert.Equal([4, 3], vstack([x, x]).shape);
        Tensor[] columns = x.unbind(1);
        Assert.Equal(3, columns.Length);
        TensorAssert.Equal([1, 4], columns[1]);
        TensorAssert.Equal([2, 1], [2, 5], x.split(2, 1)[1]);
        TensorAssert.Equal([2, 2], [1, 2, 4, 5], x.split([1, 2], 1)[1]);
        Assert.Equal([2, 1], x.chunk(2, 1)[1].shape);
        Assert.Equal(100, arange(100).unbind().Length);
        var grid = meshgrid([arange(2), arange(3)]);
        TensorAssert.Equal([2, 3], [0, 0, 0, 1, 1, 1], grid[0]);
        Assert.Equal([2, 3], broadcast_tensors(arange(2).unsqueeze(1), arange(3))[1].shape);
    }

    [Fact]
    public void Conversion()
    {
        Assert.Equal(ScalarType.Float32, x.@float().dtype);
        Assert.Equal(ScalarType.BFloat16, x.bfloat16().dtype);
        Assert.Equal(ScalarType.Float16, x.to(float16).dtype);
        Assert.Equal(ScalarType.Float64, x.type_as(zeros(1, float64)).dtype);
        Assert.Equal(ScalarType.Int32, x.to(int32, CPU).dtype);
        Assert.Equal(ScalarType.Int64, x.to("cpu").dtype);
        TensorAssert.Equal([2, 3], [0, 1, 1, 1, 1, 1], x.@bool());
        var gone = x.clone();
        using var kept = gone.to(float32, disposeAfter: true);
        Assert.True(gone.IsInvalid);
        Assert.NotSame(x, x.cpu());
    }
}
