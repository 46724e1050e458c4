using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

public sealed class TwinQuantizerTests
{
    public static TheoryData<int> Widths => [.. Enumerable.Range(QuantizationBits.Minimum, QuantizationBits.Maximum - QuantizationBits.Minimum + 1)];

    [Theory]
    [MemberData(nameof(Widths))]
    public void KernelsEqualTheTensorOperators(int bits)
    {
        using var scope = torch.NewDisposeScope();
        var draw = new RandomTensors(bits);
        var wide = draw.Normal(3, 5, 41) * 2;
        var probabilities = (draw.Normal(3, 2, 5, 41) * 6).softmax(-1);
        AssertKernel(new PostGeluQuantizer(0.031f, bits), torch.nn.functional.gelu(wide));
        for (var power = 0; power < 20; power++)
        {
            AssertKernel(new SoftmaxTwinQuantizer(MathF.ScaleB(1, -power), bits, SoftmaxTwin.Released), probabilities);
            AssertKernel(new SoftmaxTwinQuantizer(MathF.ScaleB(1, -power), bits, SoftmaxTwin.Paper), probabilities);
        }
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void LogarithmFromExponentBitsEqualsTheLogarithm(int bits)
    {
        using var scope = torch.NewDisposeScope();
        var exponents = new RandomTensors(bits).Uniform(20_000) * -130;
        var values = torch.cat([exponents.exp2(), torch.tensor(new[] { 0f, 1f, 1e-44f, 1e-38f, 0.5f, 2f, 1e30f })]);
        foreach (var scale in new[] { 1f, 0.37f, 1e-3f })
        {
            var quantizer = new LogSqrt2Quantizer(scale, bits);
            var fast = quantizer.FakeQuantize(values);
            var plain = ByOperators(quantizer, values);
            var same = (fast - plain).abs().le(plain * 1e-6);
            // A value within rounding of a boundary may take the neighbouring code.
            Assert.InRange(same.to(torch.ScalarType.Float32).mean().item<float>(), 0.9995, 1);
        }

        var damaged = new LogSqrt2Quantizer(1, bits).FakeQuantize(torch.tensor(new[] { float.NaN, 1 }));
        Assert.True(float.IsNaN(damaged[0].item<float>()));
    }

    [Theory]
    [MemberData(nameof(Widths))]
    public void QuantizersAreMonotoneAndExactOnTheirOwnValues(int bits)
    {
        using var scope = torch.NewDisposeScope();
        var line = torch.linspace(-1, 4, 50_001);
        var unit = torch.linspace(0, 1, 50_001);
        AssertMonotone(new PostGeluQuantizer(0.05f, bits), line);
        AssertExact(new PostGeluQuantizer(0.05f, bits), line);
        AssertMonotone(new LogSqrt2Quantizer(0.8f, bits), unit);
        AssertExact(new LogSqrt2Quantizer(0.8f, bits), unit);
        for (var power = 0; power < 20; power++)
        {
            var split = MathF.ScaleB(1, -power);
            AssertMonotone(new SoftmaxTwinQuantizer(split, bits, SoftmaxTwin.Released), unit);
            // The paper's form steps back at the split by up to half a coarse step; both sides are monotone.
            var paper = new SoftmaxTwinQuantizer(split, bits, SoftmaxTwin.Paper);
            AssertMonotone(paper, unit * split * 0.999999);
            AssertMonotone(paper, split + (unit * (1 - split)));
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    public void DamagePassesThrough(float damage)
    {
        using var scope = torch.NewDisposeScope();
        var values = torch.full([3], damage);
        ITensorQuantizer[] quantizers =
        [
            new PostGeluQuantizer(0.1f, 4), new SoftmaxTwinQuantizer(0.1f, 4, SoftmaxTwin.Released),
            new LogSqrt2Quantizer(1, 4), new UniformQuantizer(torch.ones(1), null, -8, 7),
        ];
        Assert.All(quantizers, quantizer => Assert.True(quantizer.FakeQuantize(values).isnan().all().item<bool>(), quantizer.ToString()));
    }

    private static void AssertKernel(ITensorQuantizer quantizer, torch.Tensor values) =>
        GoldenTensors.AssertClose(ByOperators(quantizer, values), quantizer.FakeQuantize(values), 0);

    // A tensor with a gradient takes the tensor operators.
    private static torch.Tensor ByOperators(ITensorQuantizer quantizer, torch.Tensor values) =>
        quantizer.FakeQuantize(values.detach().clone().requires_grad_()).detach();

    private static void AssertMonotone(ITensorQuantizer quantizer, torch.Tensor rising)
    {
        var values = quantizer.FakeQuantize(rising);
        var steps = values.narrow(0, 1, values.shape[0] - 1) - values.narrow(0, 0, values.shape[0] - 1);
        Assert.True(steps.min().item<float>() >= -1e-7f, $"{quantizer}: {steps.min().item<float>()}");
    }

    private static void AssertExact(ITensorQuantizer quantizer, torch.Tensor values)
    {
        var once = quantizer.FakeQuantize(values);
        GoldenTensors.AssertClose(once, quantizer.FakeQuantize(once), 1e-7, 1e-6);
    }
}
