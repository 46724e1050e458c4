using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Standins;

public sealed class IndexingTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly Tensor x = arange(24).view(2, 3, 4);

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Whole_numbers_take_a_part()
    {
        TensorAssert.Equal([3, 4], [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23], x[1]);
        TensorAssert.Equal([16, 17, 18, 19], x[1, 1]);
        TensorAssert.Equal(18, x[1, 1, 2]);
        TensorAssert.Equal(23, x[-1, -1, -1]);
        TensorAssert.Equal([20, 21, 22, 23], x[^1, ^1]);
    }

    [Fact]
    public void Ranges_slices_and_ellipses()
    {
        TensorAssert.Equal([2, 1, 2], [5, 6, 17, 18], x[.., 1..2, 1..3]);
        TensorAssert.Equal([2, 3], [3, 7, 11, 15, 19, 23], x[TensorIndex.Ellipsis, -1]);
        TensorAssert.Equal([2, 2], [0, 8, 12, 20], x[.., TensorIndex.Slice(step: 2), 0]);
        TensorAssert.Equal([3, 2], [2, 3, 6, 7, 10, 11], x[0, .., ^2..]);
        TensorAssert.Equal([1, 2], [0, 12], x[TensorIndex.None, .., 0, 0]);
        TensorAssert.Equal([2, 3, 4], x.data<long>().Select(value => (double)value).ToArray(), x[TensorIndex.Colon]);
        TensorAssert.Equal([2, 1], [4, 16], x[TensorIndex.Ellipsis, 1, TensorIndex.Slice(0, 1)]);
        TensorAssert.Equal([1, 4], [0, 1, 2, 3], x[0, TensorIndex.Slice((0, -2))]);
    }

    [Fact]
    public void Tensors_pick_elements()
    {
        TensorAssert.Equal([20, 21, 22, 23], x[x > 19]);
        TensorAssert.Equal([2, 4], [8, 9, 10, 11, 12, 13, 14, 15], x[tensor(new[] { 0L, 1 }), tensor(new[] { 2L, 0 })]);
        TensorAssert.Equal([2, 2], [5, 7, 17, 19], x[.., 1, TensorIndex.Tensor(tensor(new[] { 1L, 3 }))]);
        var mask = tensor(new[,] { { true, false, false }, { false, false, true } });
        TensorAssert.Equal([2, 2], [1, 2, 21, 22], x[TensorIndex.Tensor(mask), 1..3]);
        TensorAssert.Equal([2], [3, 21], x[TensorIndex.Tensor(mask), TensorIndex.Tensor(tensor(new[] { 3L, 1 }))]);
        TensorAssert.Equal([1, 2, 3, 4], x.data<long>().Select(value => (double)value).ToArray(), x[TensorIndex.Bool(true)]);
    }

    [Fact]
    public void Parts_are_views_that_share_memory()
    {
        x[0, 1].zero_();
        TensorAssert.Equal(0, x[0].sum(1)[1]);
    }

    [Fact]
    public void Values_are_put_into_parts()
    {
        x[0] = 1L;
        TensorAssert.Equal(12, x[0].sum());
        x[1, .., 2] = tensor(new[] { 7L, 8, 9 });
        TensorAssert.Equal([7, 8, 9], x[1, .., 2]);
        x[1, 1, 1] = -5;
        Assert.Equal(-5, x[1, 1, 1].item<long>());
        x[x < 2] = 0L;
        TensorAssert.Equal(0, x[0].sum());
        x[.., TensorIndex.Tensor(tensor(new[] { 0L, 2 })), 0] = 100L;
        TensorAssert.Equal([2, 3], [100, 0, 100, 100, 16, 100], x[TensorIndex.Ellipsis, 0]);
        x.index_put_(3, TensorIndex.Single(0), TensorIndex.Single(0));
        TensorAssert.Equal([3, 3, 3, 3], x[0, 0]);
        var sums = zeros(2, int64);
        sums.index_put_(ones(3, int64), [tensor(new[] { 0L, 0, 1 })], accumulate: true);
        TensorAssert.Equal([2, 1], sums);
    }

    [Fact]
    public void Indexing_leaves_nothing_behind()
    {
        var mask = x > 3;
        var before = scope.DisposablesCount;
        _ = x[.., 1, TensorIndex.Tensor(tensor(new[] { 1L, 3 }))];
        x[0, 1..2] = 4L;
        x[mask] = 4L;

        // The index tensor, the result, and the two values.
        Assert.Equal(before + 4, scope.DisposablesCount);
    }

    [Fact]
    public void Gathering_and_scattering()
    {
        var y = tensor(new[] { 1.0, 2, 3, 4 }, [2, 2]);
        var index = tensor(new[] { 1L, 0, 1, 1 }, [2, 2]);
        TensorAssert.Equal([2, 2], [2, 1, 4, 4], y.gather(1, index));
        TensorAssert.Equal([2, 2], [2, 1, 0, 4], zeros(2, 2, float64).scatter(1, index, y).add(tensor(new[] { 0.0, 0, 0, 0 }, [2, 2])));
        TensorAssert.Equal([2, 2], [2, 1, 0, 7], zeros(2, 2, float64).scatter_add(1, index, y));
        TensorAssert.Equal([1, 2], [3, 4], y.index_select(0, tensor(new[] { 1L })));
        TensorAssert.Equal([2, 2], [3, 4, 0, 0], zeros(2, 2, float64).index_add_(0, tensor(new[] { 0L }), y[1..], 1));
        TensorAssert.Equal([2, 2], [0, 0, 1, 2], zeros(2, 2, float64).index_copy_(0, tensor(new[] { 1L }), y[0..1]));
        TensorAssert.Equal([2, 1], [2, 3], y.take_along_dim(tensor(new[] { 1L, 0 }, [2, 1]), 1));
        TensorAssert.Equal([3, 4], y.masked_select(y > 2));
        TensorAssert.Equal([2, 2], [9, 2, 3, 9], y.masked_fill(eye(2).to(@bool), 9));
        TensorAssert.Equal([2, 2], [1, 0, 1, 1], nonzero(y > 2));
        TensorAssert.Equal([1, 1], where(y > 2)[0]);
    }
}
