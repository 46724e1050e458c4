namespace RegCache.Lab.Tests.Standins;

public sealed class ReductionTests : IDisposable
{
    private readonly DisposeScope scope = torch.NewDisposeScope();
    private readonly Tensor x = torch.tensor(new[] { 1.0, 5, 3, 8, 2, 2 }, [2, 3]);

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Sums_and_means()
    {
        TensorAssert.Equal(21, x.sum());
        TensorAssert.Equal([9, 7, 5], x.sum(0L));
        TensorAssert.Equal([2, 1], [9, 12], x.sum(-1, keepdim: true));
        TensorAssert.Equal(21, x.sum(0, 1));
        TensorAssert.Equal(3.5, torch.mean(x));
        TensorAssert.Equal([3, 4], x.mean([1]));
        TensorAssert.Equal([1, 1], [3.5], x.mean([0, 1], keepdim: true));
        TensorAssert.Equal([1, 6, 9], x[0].cumsum(0));
        TensorAssert.Equal(15, x[0].prod());
        Assert.Equal(torch.ScalarType.Float32, x.sum(torch.float32).dtype);
    }

    [Fact]
    public void A_literal_zero_is_read_as_a_type_as_the_packages_overloads_have_it() =>
        TensorAssert.Equal(21, x.sum(0).@double());

    [Fact]
    public void Spread()
    {
        TensorAssert.Equal([4, 12], x.var(1));
        TensorAssert.Equal([8.0 / 3, 8], x.var(1, unbiased: false));
        TensorAssert.Equal([2, Math.Sqrt(12)], torch.std(x, 1));
        var (deviation, mean) = x.std_mean(1);
        TensorAssert.Equal([2, Math.Sqrt(12)], deviation);
        TensorAssert.Equal([3, 4], mean);
    }

    [Fact]
    public void Extremes()
    {
        TensorAssert.Equal(8, x.max());
        TensorAssert.Equal(1, x.min());
        var (values, places) = x.max(1);
        TensorAssert.Equal([5, 8], values);
        TensorAssert.Equal([1, 0], places);
        TensorAssert.Equal(3, x.argmax());
        TensorAssert.Equal([0, 1], x.argmin(1));
        TensorAssert.Equal([8, 5, 3], x.amax([0]));
        TensorAssert.Equal([1, 2, 2], torch.amin(x, [0]));
        var into = torch.empty(3, torch.float64);
        Assert.Same(into, x.amax([0L], keepdim: false, @out: into));
        TensorAssert.Equal([8, 5, 3], into);
        var (least, most) = x.aminmax();
        TensorAssert.Equal(1, least);
        TensorAssert.Equal(8, most);
    }

    [Fact]
    public void Order()
    {
        var (values, places) = x.sort(1, descending: true);
        TensorAssert.Equal([2, 3], [5, 3, 1, 8, 2, 2], values);
        TensorAssert.Equal([1, 2, 0], places[0]);
        var (top, where) = torch.topk(x, 2);
        TensorAssert.Equal([2, 2], [5, 3, 8, 2], top);
        TensorAssert.Equal([1, 2], where[0]);
        TensorAssert.Equal([0, 2, 1], x[0].argsort());
        TensorAssert.Equal([3, 2], x.kthvalue(2, 1).Item1);
        TensorAssert.Equal(2, x.median());
        TensorAssert.Equal([2, 3.5], x.view(6).quantile(torch.tensor(new[] { 0.25, 0.7 })).sub(torch.tensor(new[] { 0.0, 0.5 })));
        TensorAssert.Equal([0, 1, 2, 3], torch.arange(4).flip(0).msort());
    }

    [Fact]
    public void Questions()
    {
        TensorAssert.Equal(1, (x > 0).all());
        TensorAssert.Equal([1, 1], (x > 4).any(1));
        TensorAssert.Equal([0, 0], (x > 4).all(1));
        TensorAssert.Equal(4, x.count_nonzero().sub(2));
        TensorAssert.Equal([1, 0, 1], torch.isin(x[0], torch.tensor(new[] { 1.0, 3 })));
    }

    [Fact]
    public void Counts()
    {
        TensorAssert.Equal([1, 3, 1, 0, 1], torch.histc(x, 5, 1, 8).sub(torch.tensor(new[] { 2.0, -2, 0, 0, 0 })));
        TensorAssert.Equal([1, 0, 2], torch.bincount(torch.tensor(new[] { 0L, 2, 2 })));
        TensorAssert.Equal([0.5, 0, 3], torch.bincount(torch.tensor(new[] { 0L, 2, 2 }), torch.tensor(new[] { 0.5, 1, 2 })));
        var (values, inverse, counts) = torch.unique(torch.tensor(new[] { 3L, 1, 3 }), return_inverse: true, return_counts: true);
        TensorAssert.Equal([1, 3], values);
        TensorAssert.Equal([1, 0, 1], inverse!);
        TensorAssert.Equal([1, 2], counts!);
        Assert.Null(torch.unique(torch.tensor(new[] { 3L })).Item2);
    }

    [Fact]
    public void Norms()
    {
        var y = torch.tensor(new[] { 3f, 4 });
        TensorAssert.Equal(5, y.norm());
        TensorAssert.Equal(7, y.norm(1f));
        TensorAssert.Equal([1], [5], y.norm(0, keepdim: true));
    }
}
