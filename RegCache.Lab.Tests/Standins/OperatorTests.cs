namespace RegCache.Lab.Tests.Standins;

public sealed class OperatorTests : IDisposable
{
    private readonly DisposeScope scope = torch.NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Arithmetic_with_tensors_and_numbers_on_both_sides()
    {
        var x = torch.tensor(new[] { 1f, 2, 4 });
        TensorAssert.Equal([2, 4, 8], x + x);
        TensorAssert.Equal([3, 4, 6], x + 2);
        TensorAssert.Equal([3, 4, 6], 2 + x);
        TensorAssert.Equal([0.5, 1.5, 3.5], x - 0.5);
        TensorAssert.Equal([1, 0, -2], 2 - x);
        TensorAssert.Equal([3, 6, 12], 3L * x);
        TensorAssert.Equal([0.5, 1, 2], x / 2f);
        TensorAssert.Equal([4, 2, 1], 4 / x);
        TensorAssert.Equal([1, 0, 0], x % 2);
        TensorAssert.Equal([-1, -2, -4], -x);
        TensorAssert.Equal([0.5], 1 / torch.tensor(new[] { 2L }));
        TensorAssert.Equal([1, 4, 16], x.pow(2));
    }

    [Fact]
    public void Comparisons_give_truth_values()
    {
        var x = torch.tensor(new[] { 1f, 2, 3 });
        Assert.Equal(torch.ScalarType.Bool, (x > 2).dtype);
        TensorAssert.Equal([0, 0, 1], x > 2);
        TensorAssert.Equal([0, 1, 1], x >= 2);
        TensorAssert.Equal([1, 0, 0], 2 > x);
        TensorAssert.Equal([1, 1, 0], 2 >= x);
        TensorAssert.Equal([0, 1, 0], x == 2);
        TensorAssert.Equal([1, 0, 1], x != torch.tensor(2f));
        TensorAssert.Equal([0, 1, 0], (x >= 2) & (x < 3));
        TensorAssert.Equal([1, 0, 1], ~(x == 2));
        TensorAssert.Equal([1, 0, 1], (x < 2) | (x > 2));
        TensorAssert.Equal([1, 1, 0], (x < 2) ^ (x == 2));
        Assert.True(x.allclose(x + 1e-7));
        Assert.False(torch.allclose(x, x + 1));
    }

    [Fact]
    public void In_place_operators_change_and_return_their_tensor()
    {
        var x = torch.tensor(new[] { 4f, 9 });
        Assert.Same(x, x.sqrt_());
        TensorAssert.Equal([2, 3], x);
        x.add_(1).mul_(2).sub_(torch.ones(2)).div_(5);
        TensorAssert.Equal([1, 1.4], x);
        x.addcmul_(torch.tensor(new[] { 2f, 3 }), torch.tensor(new[] { 4f, 5 }), 0.5);
        TensorAssert.Equal([5, 8.9], x);
        x.addcdiv_(torch.ones(2), torch.tensor(new[] { 2f, 4 }), 2);
        TensorAssert.Equal([6, 9.4], x);
        x.clamp_(7, 9).lerp_(torch.zeros(2), torch.tensor(0.5f));
        TensorAssert.Equal([3.5, 4.5], x);
        x.copy_(torch.tensor(new[] { 1, 2 })).neg_().pow_(2).masked_fill_(torch.tensor(new[] { false, true }), 3);
        TensorAssert.Equal([1, 3], x);
        TensorAssert.Equal([0, 0], x.zero_());
        TensorAssert.Equal([5, 5], x.fill_(5));
        TensorAssert.Equal([5.25, 5.25], x.add_(0.254).round_(2));
    }

    [Fact]
    public void Rounding_modes_of_division()
    {
        var x = torch.tensor(new[] { -7f, 7 });
        TensorAssert.Equal([-3.5, 3.5], x.div(2));
        TensorAssert.Equal([-4, 3], x.div(2, torch.RoundingMode.floor));
        TensorAssert.Equal([-3, 3], x.div(2, torch.RoundingMode.trunc));
        TensorAssert.Equal([-4, 3], x.floor_divide(2));
        TensorAssert.Equal([-0.12, 0.13], torch.tensor(new[] { -0.1249, 0.1251 }).round(2));
        TensorAssert.Equal([2, 4], torch.tensor(new[] { 2.5, 3.5 }).round());
    }

    [Fact]
    public void Pointwise_functions()
    {
        var x = torch.tensor(new[] { -1.0, 0, 2 });
        TensorAssert.Equal([1, 0, 2], x.abs());
        TensorAssert.Equal([0, 0, 2], x.relu());
        TensorAssert.Equal([Math.Exp(-1), 1, Math.Exp(2)], torch.exp(x));
        TensorAssert.Equal([0.26894142, 0.5, 0.88079708], torch.sigmoid(x));
        TensorAssert.Equal([Math.Tanh(-1), 0, Math.Tanh(2)], x.tanh());
        TensorAssert.Equal([-0.15865525, 0, 1.95449974], x.gelu());
        TensorAssert.Equal([-0.26894142, 0, 1.76159416], x.silu());
        TensorAssert.Equal([-0.84270079, 0, 0.99532227], x.erf());
        TensorAssert.Equal([-1, 0, 1], torch.sign(x));
        TensorAssert.Equal([-0.5, 0, 1], torch.clamp(x, -0.5, 1));
        TensorAssert.Equal([-1, 0, 1], x.clamp(max: 1));
        TensorAssert.Equal([1, 1, 2], torch.maximum(x, torch.ones(3, torch.float64)));
        TensorAssert.Equal([-1, 0, 1], torch.minimum(x, torch.ones(3, torch.float64)));
        TensorAssert.Equal([7, 0, 2], torch.where(x < 0, torch.tensor(7.0), x));
        var odd = torch.tensor(new[] { double.NaN, double.PositiveInfinity, 1 });
        TensorAssert.Equal([1, 0, 0], torch.isnan(odd));
        TensorAssert.Equal([0, 1, 0], torch.isinf(odd));
        TensorAssert.Equal([0, 0, 1], torch.isfinite(odd));
        TensorAssert.Equal([5, 6, 1], torch.nan_to_num(odd, 5, 6));
    }

    [Fact]
    public void Softmax_and_its_logarithm()
    {
        var x = torch.tensor(new[] { 0f, (float)Math.Log(3) });
        TensorAssert.Equal([0.25, 0.75], x.softmax(-1));
        TensorAssert.Equal([Math.Log(0.25), Math.Log(0.75)], x.log_softmax(-1));
        Assert.Equal(torch.ScalarType.Float64, x.softmax(0, torch.float64).dtype);
        TensorAssert.Equal([Math.Log(4)], x.logsumexp(0, keepdim: true));
    }

    [Fact]
    public void Matrix_products()
    {
        var a = torch.tensor(new[] { 1f, 2, 3, 4 }, [2, 2]);
        var b = torch.tensor(new[] { 5f, 6, 7, 8 }, [2, 2]);
        double[] product = [19, 22, 43, 50];
        TensorAssert.Equal([2, 2], product, a.matmul(b));
        TensorAssert.Equal([2, 2], product, torch.mm(a, b));
        TensorAssert.Equal([1, 2, 2], product, torch.bmm(a.unsqueeze(0), b.unsqueeze(0)));
        TensorAssert.Equal([2, 2], [20, 23, 44, 51], torch.addmm(torch.ones(2, 2), a, b, 1, 1));
        TensorAssert.Equal([1, 2, 2], [38.5, 44.5, 86.5, 100.5], torch.baddbmm(torch.ones(1, 2, 2), a.unsqueeze(0), b.unsqueeze(0), 0.5f, 2));
        TensorAssert.Equal([2, 2], product, torch.einsum("ij,jk->ik", a, b));
        TensorAssert.Equal(70, torch.tensordot(a, b));
        TensorAssert.Equal([2, 2], product, torch.tensordot(a, b, [1], [0]));
        TensorAssert.Equal(11, torch.dot(a[0], b[0] - torch.tensor(new[] { 2f, 2 })));
        TensorAssert.Equal([2, 2], [3, 4, 6, 8], torch.outer(a[0], a[1]));
        TensorAssert.Equal(-2, a.det());
        TensorAssert.Equal([2, 2], [-2, 1, 1.5, -0.5], torch.linalg.inv(a));
        TensorAssert.Equal(Math.Sqrt(30), torch.linalg.norm(a));
        TensorAssert.Equal([4, 6], torch.linalg.vector_norm(a, 1, [0]));
        TensorAssert.Equal([5.46498570, 0.36596619], torch.linalg.svdvals(a));
        var (u, s, v) = torch.linalg.svd(a);
        Assert.True(u.matmul(torch.diag(s)).matmul(v).allclose(a, 1e-4, 1e-5));
    }
}
