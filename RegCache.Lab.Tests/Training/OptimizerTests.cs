using RegCache.Lab.Training;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

public sealed class OptimizerTests
{
    [Fact]
    public void SgdStepsAsPyTorchsDoes()
    {
        var draw = new RandomTensors(3);
        var (ours, theirs) = (draw.Normal(50).requires_grad_(), (torch.Tensor)null!);
        theirs = ours.detach().clone().requires_grad_();
        using var optimizer = new Sgd([new([new("w", ours)], 0.05)], momentum: 0.9);
        using var reference = torch.optim.SGD([new TorchSharp.Modules.Parameter(theirs)], 0.1, momentum: 0.9, weight_decay: 0.05, nesterov: true);
        var parameter = reference.parameters().Single();
        for (var step = 0; step < 4; step++)
        {
            var gradient = draw.Normal(50);
            (ours.grad, parameter.grad) = (gradient, gradient.clone());
            optimizer.Step(0.1);
            reference.step();
        }

        GoldenTensors.AssertClose(parameter.detach(), ours.detach(), 1e-6);
    }

    [Fact]
    public void LambClipsTogetherWithItsCaller()
    {
        torch.Tensor Stepped(double most)
        {
            var value = torch.ones(4).requires_grad_();
            using var optimizer = new Lamb([new([new("w", value)], 0)], new(Beta1: 0, Beta2: 0, Epsilon: 1));
            value.grad = torch.full([4], 50f);
            using var norm = optimizer.GradientNorm();
            optimizer.Step(0.1, norm, most);
            return value.detach();
        }

        // With an epsilon of 1 the step g / (|g| + 1) tells how long the gradient was.
        GoldenTensors.AssertClose(torch.full([4], 1 - (0.1f * 0.5f / 1.5f)), Stepped(1e9), 1e-6);
        GoldenTensors.AssertClose(torch.full([4], 1 - (0.1f * 0.05f / 1.05f)), Stepped(0.1), 1e-6);
    }

    [Theory]
    [InlineData("adamw")]
    [InlineData("lamb")]
    [InlineData("sgd")]
    public void AStoredStateGoesOnToTheSameBits(string name)
    {
        var draw = new RandomTensors(5);
        var (start, gradients) = (draw.Normal(6, 5), Enumerable.Range(0, 4).Select(_ => draw.Normal(6, 5)).ToArray());
        var kind = Optimizers.All.Find(name);
        Optimizer Make(torch.Tensor value) => kind.Make([new([new("w", value)], 0.1)], new(0.9, 0.999, 1e-8));
        void Take(Optimizer optimizer, torch.Tensor value, IEnumerable<torch.Tensor> taken)
        {
            foreach (var gradient in taken)
            {
                value.grad = gradient;
                optimizer.Step(0.01);
            }
        }

        var whole = start.clone().requires_grad_();
        using var unbroken = Make(whole);
        Take(unbroken, whole, gradients);

        var first = start.clone().requires_grad_();
        using var before = Make(first);
        Take(before, first, gradients[..2]);
        var second = first.detach().clone().requires_grad_();
        using var after = Make(second);
        foreach (var ((_, target), (_, stored)) in after.State.Zip(before.State))
        {
            target.copy_(stored);
        }

        after.Resume(2);
        Take(after, second, gradients[2..]);
        GoldenTensors.AssertIdentical(whole.detach(), second.detach());
    }
}
