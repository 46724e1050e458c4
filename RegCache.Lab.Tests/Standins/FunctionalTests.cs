using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace RegCache.Lab.Tests.Standins;

public sealed class FunctionalTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Linear_and_normalisation()
    {
        var x = tensor(new[] { 1f, 2, 3 }, [1, 3]);
        var weight = tensor(new[] { 1f, 0, -1, 2, 2, 2 }, [2, 3]);
        TensorAssert.Equal([1, 2], [-2, 12], functional.linear(x, weight));
        TensorAssert.Equal([1, 2], [-1, 14], functional.linear(x, weight, tensor(new[] { 1f, 2 })));
        TensorAssert.Equal([1, 3], [-1.22474, 0, 1.22474], functional.layer_norm(x, [3], eps: 0));
        TensorAssert.Equal([1, 3], [-1.44949, 1, 3.44949], functional.layer_norm(x, [3], full(3, 2f), ones(3), 0));
        TensorAssert.Equal([1, 3], [0.26726, 0.53452, 0.80178], functional.normalize(x));
        TensorAssert.Equal([0, 0], functional.normalize(zeros(2), dim: 0));
        TensorAssert.Equal([1], functional.cosine_similarity(x, x * 2));
    }

    [Fact]
    public void Convolution_and_windows()
    {
        var x = arange(16, dtype: float32).view(1, 1, 4, 4);
        var kernel = ones(1, 1, 2, 2);
        TensorAssert.Equal([1, 1, 2, 2], [10, 18, 42, 50], functional.conv2d(x, kernel, strides: [2, 2]));
        TensorAssert.Equal([1, 1, 2, 2], [11, 19, 43, 51], functional.conv2d(x, kernel, ones(1), strides: [2]));
        TensorAssert.Equal([1, 1, 3], [1, 3, 5], functional.conv1d(arange(4, dtype: float32).view(1, 1, 4), ones(1, 1, 2)));
        TensorAssert.Equal([4, 4], [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15], functional.unfold(x, 2, stride: 2)[0]);
        TensorAssert.Equal([1, 1, 2, 2], [2.5, 4.5, 10.5, 12.5], functional.avg_pool2d(x, 2));
        TensorAssert.Equal([1, 1, 2, 2], [5, 7, 13, 15], functional.max_pool2d(x, 2));
        TensorAssert.Equal([1, 1, 1, 1], [7.5], functional.adaptive_avg_pool2d(x, 1));
    }

    [Fact]
    public void Losses()
    {
        var logits = tensor(new[] { 0f, (float)Math.Log(3) }, [1, 2]);
        var target = tensor(new[] { 1L });
        TensorAssert.Equal(-Math.Log(0.75), functional.cross_entropy(logits, target));
        TensorAssert.Equal([-Math.Log(0.75)], functional.cross_entropy(logits, target, reduction: Reduction.None));
        TensorAssert.Equal(-0.9 * Math.Log(0.75) - 0.1 * Math.Log(0.25), functional.cross_entropy(logits, target, label_smoothing: 0.2));
        TensorAssert.Equal(2.5, functional.mse_loss(tensor(new[] { 1f, 2 }), zeros(2)));
        TensorAssert.Equal(5, functional.mse_loss(tensor(new[] { 1f, 2 }), zeros(2), Reduction.Sum));
        TensorAssert.Equal(1.5, functional.l1_loss(tensor(new[] { 1f, 2 }), zeros(2)));
        TensorAssert.Equal(Math.Log(2), functional.binary_cross_entropy_with_logits(zeros(2), ones(2)));
        var p = tensor(new[] { 0.25, 0.75 }).log();
        TensorAssert.Equal(0, functional.kl_div(p, p));
        TensorAssert.Equal(
            0.5 * Math.Log(2) + 0.5 * Math.Log(2.0 / 3),
            functional.kl_div(p, tensor(new[] { 0.5, 0.5 }), log_target: false, Reduction.Sum));
    }

    [Fact]
    public void Attention_is_the_softmax_weighted_mean_of_the_values()
    {
        manual_seed(1);
        Tensor q = randn(2, 3, 4, 8), k = randn(2, 3, 5, 8), v = randn(2, 3, 5, 8);
        var scores = q.matmul(k.transpose(-2, -1)) / Math.Sqrt(8);
        Near(scores.softmax(-1).matmul(v), functional.scaled_dot_product_attention(q, k, v));

        var bias = randn(4, 5);
        Near((scores + bias).softmax(-1).matmul(v), functional.scaled_dot_product_attention(q, k, v, bias));

        var seen = (ones(4, 5) > 0).tril();
        var hidden = scores.masked_fill(~seen, double.NegativeInfinity);
        Near(hidden.softmax(-1).matmul(v), functional.scaled_dot_product_attention(q, k, v, seen));
        Near(hidden.softmax(-1).matmul(v), functional.scaled_dot_product_attention(q, k, v, is_casual: true));
    }

    [Fact]
    public void Attention_can_be_differentiated()
    {
        var q = randn([1, 2, 3, 4], float64, requires_grad: true);
        var gradient = autograd.grad([functional.scaled_dot_product_attention(q, q, q, is_casual: true).sum()], [q])[0];
        using var quiet = no_grad();
        var step = zeros_like(q);
        step[0, 1, 2, 3] = 1e-6;
        var change = functional.scaled_dot_product_attention(q + step, q + step, q + step, is_casual: true).sum()
            - functional.scaled_dot_product_attention(q - step, q - step, q - step, is_casual: true).sum();
        Assert.Equal(change.ToDouble() / 2e-6, gradient[0, 1, 2, 3].ToDouble(), 1e-4);
    }

    [Fact]
    public void Padding_resizing_and_classes()
    {
        var x = tensor(new[] { 1f, 2, 3 }, [1, 1, 3]);
        TensorAssert.Equal([1, 1, 5], [0, 1, 2, 3, 0], functional.pad(x, (1, 1)));
        TensorAssert.Equal([1, 1, 5], [9, 9, 1, 2, 3], functional.pad(x, [2, 0], value: 9));
        TensorAssert.Equal([1, 1, 5], [2, 1, 2, 3, 2], functional.pad(x, (1, 1), PaddingModes.Reflect));
        TensorAssert.Equal([1, 1, 5], [1, 1, 2, 3, 3], functional.pad(x, (1, 1), PaddingModes.Replicate));
        TensorAssert.Equal([1, 1, 6], [1, 1, 2, 2, 3, 3], functional.interpolate(x, [6]));
        TensorAssert.Equal([1, 1, 6], [1, 1, 2, 2, 3, 3], functional.interpolate(x, scale_factor: [2.0]));
        TensorAssert.Equal([1, 1, 5], [1, 1.5, 2, 2.5, 3], functional.interpolate(x, [5], mode: InterpolationMode.Linear, align_corners: true));
        var picture = arange(4, dtype: float32).view(1, 1, 2, 2);
        TensorAssert.Equal([1, 1, 1, 1], [1.5], functional.interpolate(picture, [1, 1], mode: InterpolationMode.Bicubic, antialias: true));
        TensorAssert.Equal([1, 1, 1, 1], [1.5], functional.interpolate(picture, [1, 1], mode: InterpolationMode.Area));
        Assert.Throws<ArgumentException>(() => functional.interpolate(picture, [1, 1], mode: InterpolationMode.Linear));
        Assert.Throws<ArgumentException>(() => functional.interpolate(picture));
        TensorAssert.Equal([2, 3], [0, 1, 0, 0, 0, 1], functional.one_hot(tensor(new[] { 1L, 2 })));
        Assert.Equal([1, 5], functional.one_hot(tensor(new[] { 1L }), 5).shape);
    }

    [Fact]
    public void Dropout_scales_what_it_keeps()
    {
        var dropped = functional.dropout(ones(1000), 0.5);
        Assert.Equal([0f, 2f], dropped.data<float>().Distinct().Order());
        TensorAssert.Equal([1, 1], functional.dropout(ones(2), 0.5, training: false));
    }

    [Fact]
    public void Initial_values()
    {
        var weight = nn.Parameter(empty(64, 32));
        init.xavier_uniform_(weight);
        var bound = Math.Sqrt(6.0 / 96);
        Assert.InRange(weight.abs().max().ToDouble(), 0.9 * bound, bound);
        init.kaiming_uniform_(weight);
        bound = Math.Sqrt(6.0 / 32);
        Assert.InRange(weight.abs().max().ToDouble(), 0.9 * bound, bound);
        init.trunc_normal_(weight, std: 0.5, a: -0.6, b: 0.6);
        Assert.InRange(weight.abs().max().ToDouble(), 0.5, 0.6);
        Assert.InRange(weight.std().ToDouble(), 0.25, 0.4);
        init.normal_(weight, 3, 0.01);
        Assert.InRange(weight.mean().ToDouble(), 2.99, 3.01);
        TensorAssert.Equal(0, init.zeros_(weight).sum());
        TensorAssert.Equal(64 * 32, init.ones_(weight).sum());
        TensorAssert.Equal(64 * 32 * 2, init.constant_(weight, 2).sum());
        Assert.True(weight.is_leaf);
        Assert.Equal((32L, 64L), init.CalculateFanInAndFanOut(weight));
        Assert.Equal(5.0 / 3, init.calculate_gain(init.NonlinearityType.Tanh));
    }

    private static void Near(Tensor expected, Tensor actual) => Assert.True(expected.allclose(actual, 1e-4, 1e-5));
}
