using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Standins;

public sealed class AutogradTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Backward_fills_the_leaves_gradients()
    {
        var x = tensor(new[] { 2f, 3 }, requires_grad: true);
        Assert.True(x.is_leaf);
        Assert.Null(x.grad);
        var y = (x * x * 3).sum();
        Assert.True(y.requires_grad);
        Assert.False(y.is_leaf);
        y.backward();
        TensorAssert.Equal([12, 18], x.grad!);
        (x * 1).sum().backward();
        TensorAssert.Equal([13, 19], x.grad!);
        x.grad!.zero_();
        TensorAssert.Equal([0, 0], x.grad!);
        x.grad = null;
        Assert.Null(x.grad);
    }

    [Fact]
    public void A_graph_serves_once_unless_it_is_retained()
    {
        var x = tensor(2f, requires_grad: true);
        var y = x.pow(3);
        y.backward(retain_graph: true);
        y.backward();
        Assert.Equal(24f, x.grad!.item<float>());
        Assert.Throws<System.Runtime.InteropServices.ExternalException>(() => y.backward());
    }

    [Fact]
    public void Gradients_of_gradients()
    {
        var x = tensor(2.0, requires_grad: true);
        var first = autograd.grad([x.pow(3)], [x], create_graph: true)[0];
        Assert.Equal(12.0, first.ToDouble());
        Assert.Equal(12.0, autograd.grad([first], [x])[0].ToDouble());
    }

    [Fact]
    public void An_unused_input_has_no_gradient()
    {
        var x = tensor(2.0, requires_grad: true);
        var unused = tensor(1.0, requires_grad: true);
        var gradients = autograd.grad([x * 2], [x, unused], allow_unused: true);
        Assert.Equal(2.0, gradients[0].ToDouble());
        Assert.Null(gradients[1]);
        Assert.Throws<System.Runtime.InteropServices.ExternalException>(() => autograd.grad([x * 2], [x, unused]));
    }

    [Fact]
    public void Several_outputs_with_weights()
    {
        var x = tensor(new[] { 1f, 2 }, requires_grad: true);
        autograd.backward([x * 2, x * 3], [tensor(new[] { 1f, 0 }), tensor(new[] { 0f, 1 })]);
        TensorAssert.Equal([2, 3], x.grad!);
    }

    [Fact]
    public void Modes_switch_recording_off_and_on_again()
    {
        var x = tensor(1f, requires_grad: true);
        using (no_grad())
        {
            Assert.False(is_grad_enabled());
            Assert.False((x * 2).requires_grad);
            using (enable_grad())
            {
                Assert.True((x * 2).requires_grad);
            }

            Assert.False(is_grad_enabled());
        }

        Assert.True(is_grad_enabled());
        using (set_grad_enabled(false))
        {
            Assert.False((x * 2).requires_grad);
        }

        using (inference_mode())
        {
            Assert.True(is_inference_mode_enabled());
            Assert.False((x * 2).requires_grad);
        }

        Assert.False(is_inference_mode_enabled());
        Assert.False(x.detach().requires_grad);
    }

    [Fact]
    public void Inner_nodes_keep_their_gradient_on_request()
    {
        var x = tensor(2f, requires_grad: true);
        var y = x * 3;
        y.retain_grad();
        (y * y).backward();
        Assert.Equal(12f, y.grad!.item<float>());
    }

    [Fact]
    public void A_parameter_takes_its_data_over()
    {
        var data = zeros(2, 3);
        var parameter = nn.Parameter(data);
        Assert.True(data.IsInvalid);
        Assert.True(parameter.requires_grad);
        Assert.True(parameter.is_leaf);
        Assert.True(scope.Contains(parameter));
        Assert.False(new Parameter(zeros(1), requires_grad: false).requires_grad);
        (parameter * 2).sum().backward();
        TensorAssert.Equal([2, 3], [2, 2, 2, 2, 2, 2], parameter.grad!);
    }

    [Fact]
    public void Gradients_are_clipped_to_a_norm()
    {
        var parameter = nn.Parameter(tensor(new[] { 3f, 4 }));
        (parameter * parameter / 2).sum().backward();
        Assert.Equal(5, nn.utils.clip_grad_norm_([parameter], 10), 1e-5);
        TensorAssert.Equal([3, 4], parameter.grad!);
        Assert.Equal(5, nn.utils.clip_grad_norm_([parameter], 1), 1e-5);
        TensorAssert.Equal([0.6, 0.8], parameter.grad!);
        nn.utils.clip_grad_value_([parameter], 0.7);
        TensorAssert.Equal([0.6, 0.7], parameter.grad!);
    }
}
