using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Tests.Encoders;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

public sealed class NaiveQuantizerTests
{
    private static readonly Gen<(int Bits, ActivationScope Scope, bool Asymmetric, int Seed)> _settings =
        from bits in Gen.Choose(QuantizationBits.Minimum, QuantizationBits.Maximum)
        from scope in Gen.Elements(Enum.GetValues<ActivationScope>())
        from asymmetric in Gen.Elements(true, false)
        from seed in Gen.Choose(0, int.MaxValue)
        select (bits, scope, asymmetric, seed);

    [Fact]
    public void ErrorsAreAtMostHalfAStepAndQuantizingTwiceChangesNothing() => Prop.ForAll(_settings.ToArbitrary(), setting =>
    {
        using var scope = torch.NewDisposeScope();
        var random = new Random(setting.Seed);
        var values = new RandomTensors(setting.Seed).Normal(random.Next(1, 4), random.Next(1, 9), random.Next(1, 20)) * Math.Exp((random.NextDouble() * 20) - 10);
        var grid = Grid(values, setting.Bits, setting.Scope, setting.Asymmetric);
        var quantized = grid.FakeQuantize(values);
        var half = (grid.Scale * 0.5) + (values.abs() * 1e-6);
        Assert.True((quantized - values).abs().le(half).all().item<bool>(), "an error is larger than half a step");
        GoldenTensors.AssertIdentical(quantized, grid.FakeQuantize(quantized));
    }).Check(RandomTensors.Properties);

    [Theory]
    [InlineData(0f)]
    [InlineData(1f)]
    [InlineData(-2.5f)]
    [InlineData(1e-44f)]
    [InlineData(3.4e38f)]
    [InlineData(-3.4e38f)]
    public void ConstantInputsStayFinite(float constant)
    {
        foreach (var shape in new long[][] { [1, 1], [2, 3, 4] })
        {
            foreach (var asymmetric in new[] { false, true })
            {
                for (var bits = QuantizationBits.Minimum; bits <= QuantizationBits.Maximum; bits++)
                {
                    using var scope = torch.NewDisposeScope();
                    var values = torch.full(shape, constant);
                    var grid = Grid(values, bits, ActivationScope.Batch, asymmetric);
                    var quantized = grid.FakeQuantize(values);
                    Assert.True(quantized.isfinite().all().item<bool>(), $"{constant} at {bits} bits");
                    Assert.True((quantized - values).abs().le((grid.Scale * 0.5) + Math.Abs(constant * 1e-6)).all().item<bool>());
                }
            }
        }
    }

    [Fact]
    public void HugeValuesOfBothSignsHaveAFiniteStep()
    {
        using var scope = torch.NewDisposeScope();
        var values = torch.tensor([-3e38f, 3e38f, 0f]).view(1, 3);
        Assert.True(Grid(values, 8, ActivationScope.Batch, true).FakeQuantize(values).isfinite().all().item<bool>());
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void DamagedInputsAreRefusedByLayerAndImage(float damage)
    {
        using var model = RandomModels.Create(RandomModels.Tiny);
        using var scope = torch.NewDisposeScope();
        using var noGradient = torch.no_grad();
        var images = new RandomTensors(0).Normal(3, 3, 32, 24);
        images[2, 0, 0, 0] = damage;
        using var runner = new PlanRunner(model.Vision);
        var plan = EncoderPlan.Plain(4).With(1, it => it with { Transform = new NaiveQuantizer(new(8, 8)).Only(LinearKind.MlpIn) });
        var error = Assert.Throws<UserException>(() => runner.Run(images, plan));
        Assert.Contains("visual.transformer.resblocks.1.mlp.c_fc", error.Message);
        Assert.Contains("image 2", error.Message);
    }

    [Fact]
    public void ReducedPrecisionIsQuantizedInSinglePrecision()
    {
        using var scope = torch.NewDisposeScope();
        using var noGradient = torch.no_grad();
        var draw = new RandomTensors(0);
        var (weight, input) = (draw.Normal(8, 16).bfloat16(), draw.Normal(2, 3, 16).bfloat16());
        var quantizer = new NaiveQuantizer(new(8, 8));
        var narrow = quantizer.Quantize(new Linear(weight, null), "layer").Apply(input);
        var wide = quantizer.Quantize(new Linear(weight.@float(), null), "layer").Apply(input.@float());
        Assert.Equal(torch.ScalarType.BFloat16, narrow.dtype);
        GoldenTensors.AssertClose(wide, narrow, wide.abs().max().item<float>() * 0.02);
    }

    [Fact]
    public void OneLayerAloneIsQuantized()
    {
        using var model = RandomModels.Create(RandomModels.Tiny);
        var plain = model.Vision.Blocks[0];
        foreach (var kind in LinearKinds.All)
        {
            var layers = new NaiveQuantizer(new(4, 4)).Only(kind).Apply(0, plain);
            Assert.Equal(kind == LinearKind.AttentionIn, layers.AttentionIn != plain.AttentionIn);
            Assert.Equal(kind == LinearKind.AttentionOut, layers.AttentionOut != plain.AttentionOut);
            var (mlp, before) = ((FeedForward)layers.Mlp, (FeedForward)plain.Mlp);
            Assert.Equal(kind == LinearKind.MlpIn, mlp.In != before.In);
            Assert.Equal(kind == LinearKind.MlpOut, mlp.Out != before.Out);
        }
    }

    private static UniformQuantizer Grid(torch.Tensor values, int bits, ActivationScope scope, bool asymmetric) => asymmetric
        ? MinMaxRange.Asymmetric(values, bits, scope)
        : MinMaxRange.Symmetric(values, bits, scope);
}
