using RegCache.Lab.Training;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

public class AdamWTests
{
    [Fact]
    public void OnePassOverMemoryAndTensorOperationsAgree()
    {
        var draw = new RandomTensors(1);
        var start = draw.Normal(70_001);
        var gradients = Enumerable.Range(0, 4).Select(_ => draw.Normal(70_001)).ToArray();
        var direct = start.clone().requires_grad_();
        using var optimizer = new AdamW([new([new("w", direct)], 0.1)], new(0.9, 0.98, 1e-6));
        var (value, first, second) = (start.clone(), torch.zeros_like(start), torch.zeros_like(start));
        for (var step = 0; step < gradients.Length; step++)
        {
            direct.grad = gradients[step];
            using var norm = optimizer.GradientNorm();
            Assert.Equal(gradients[step].norm().ToDouble(), norm.ToDouble(), 1e-2);
            optimizer.Step(0.01, norm, maxGradientNorm: 1);
            var scale = Math.Min(1, 1 / (norm.ToDouble() + 1e-6));
            new AdamWRule(new(0.9, 0.98, 1e-6), 0.01, step + 1).Apply(new(value, gradients[step] * scale, [first, second], new([], 0.1)), null);
        }

        GoldenTensors.AssertClose(value, direct.detach(), 1e-5);
    }

    [Fact]
    public void ParametersWithoutGradientStay()
    {
        var still = torch.ones(3).requires_grad_();
        using var optimizer = new AdamW([new([new("w", still)], 0.5)], new());
        optimizer.Step(0.1);
        GoldenTensors.AssertClose(torch.ones(3), still.detach(), 0);
    }
}
