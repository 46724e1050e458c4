using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.RepqVit;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

public sealed class PercentileRangeTests
{
    [Fact]
    public void QuantizingTwiceChangesNothingAndErrorsInsideTheRangeAreHalfAStep()
    {
        var cases = from bits in Gen.Choose(QuantizationBits.Minimum, QuantizationBits.Maximum)
                    from seed in Gen.Choose(0, int.MaxValue)
                    select (bits, seed);
        Prop.ForAll(cases.ToArbitrary(), setting =>
        {
            using var scope = torch.NewDisposeScope();
            var random = new Random(setting.seed);
            var values = (new RandomTensors(setting.seed).Normal(random.Next(1, 4), random.Next(1, 9), random.Next(1, 20)) + random.NextDouble()) * Math.Exp((random.NextDouble() * 10) - 5);
            var grid = PercentileRange.OfTensor(values, setting.bits, "test");
            var quantized = grid.FakeQuantize(values);
            var step = grid.Scale.item<float>();
            GoldenTensors.AssertClose(quantized, grid.FakeQuantize(quantized), step * 1e-3);
            var (low, high) = (quantized.min().item<float>(), quantized.max().item<float>());
            var inside = values.ge(low) & values.le(high);
            var excess = ((quantized - values).abs() - (step * 0.5)).where(inside, torch.zeros(1)).max().item<float>();
            Assert.InRange(excess, float.NegativeInfinity, values.abs().max().item<float>() * 1e-5);
        }).Check(RandomTensors.Properties);
    }

    [Fact]
    public void TheRangeIsTheOneOfThreeWithTheSmallestError()
    {
        double[] percentiles = [0.999, 0.9999, 0.99999];
        var chosen = new HashSet<int>();
        for (var seed = 0; seed < 40; seed++)
        {
            using var scope = torch.NewDisposeScope();
            var bits = 3 + (seed % 6);
            var highest = (1 << bits) - 1;
            // Powers have long tails, so that the three ranges differ; the shift makes them lopsided.
            var values = new RandomTensors(seed).Normal(1, 3000, 1).pow(1 + (2 * (seed % 4))) + (seed % 3);
            var errors = percentiles.Select(percentile =>
            {
                var high = torch.quantile(values.flatten(), torch.tensor((float)percentile)).item<float>();
                var low = torch.quantile(values.flatten(), torch.tensor((float)(1 - percentile))).item<float>();
                var scale = (high - low) / highest;
                var codes = ((values / scale).round() + MathF.Round(-low / scale)).clamp(0, highest);
                return (((codes - MathF.Round(-low / scale)) * scale) - values).square().mean().item<float>();
            }).ToArray();
            var error = (PercentileRange.OfTensor(values, bits, "test").FakeQuantize(values) - values).square().mean().item<float>();
            Assert.InRange(error, errors.Min() * (1 - 1e-5f), errors.Min() * (1 + 1e-5f));
            chosen.Add(Array.IndexOf(errors, errors.Min()));
        }

        Assert.Equal(3, chosen.Count);
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(2.5f)]
    [InlineData(-1e-3f)]
    [InlineData(1e-44f)]
    [InlineData(3.4e38f)]
    public void ConstantsAreKept(float constant)
    {
        foreach (var shape in new long[][] { [1, 1, 1], [2, 3, 4] })
        {
            for (var bits = QuantizationBits.Minimum; bits <= QuantizationBits.Maximum; bits++)
            {
                using var scope = torch.NewDisposeScope();
                var values = torch.full(shape, constant);
                var grids = new[] { PercentileRange.OfTensor(values, bits, "test"), PercentileRange.OfChannels(values, bits, "test") };
                foreach (var grid in grids)
                {
                    GoldenTensors.AssertClose(values, grid.FakeQuantize(values), 1e-37, 1e-6);
                }
            }
        }
    }

    [Fact]
    public void HugeValuesOfBothSignsHaveAFiniteStep()
    {
        using var scope = torch.NewDisposeScope();
        var values = torch.tensor(new[] { -3e38f, 3e38f, 0f, 1f }).view(1, 4, 1);
        Assert.True(PercentileRange.OfTensor(values, 8, "test").FakeQuantize(values).isfinite().all().item<bool>());
    }

    [Fact]
    public void DamagedValuesAreRefusedByName()
    {
        using var scope = torch.NewDisposeScope();
        var values = new RandomTensors(0).Normal(3, 4, 5);
        values[1, 0, 0] = float.NaN;
        var error = Assert.Throws<UserException>(() => PercentileRange.OfTensor(values, 8, "this.layer"));
        Assert.Contains("this.layer", error.Message);
        Assert.Contains("image 1", error.Message);
    }

    [Fact]
    public void ProbabilitiesWithoutMassBecomeZero()
    {
        using var scope = torch.NewDisposeScope();
        var values = torch.zeros(1, 1, 3, 3);
        GoldenTensors.AssertIdentical(values, PercentileRange.OfProbabilities(values, 4, "test").FakeQuantize(values));
    }

    [Fact]
    public void ReparameterizationLeavesTheFloatFunctionUnchanged()
    {
        var cases = from width in Gen.Choose(1, 24)
                    from seed in Gen.Choose(0, int.MaxValue)
                    select (width, seed);
        Prop.ForAll(cases.ToArbitrary(), setting =>
        {
            using var scope = torch.NewDisposeScope();
            using var noGradient = torch.no_grad();
            var draw = new RandomTensors(setting.seed);
            var (width, outputs) = (setting.width, 7);
            var norm = new LayerNorm(draw.Normal(width), draw.Normal(width), 1e-5);
            var linear = new Linear(draw.Normal(outputs, width), draw.Normal(outputs));
            var input = draw.Normal(2, 5, width);
            var normalised = norm.Apply(input);
            var (_, reparameterization) = ScaleReparameterization.Of(PercentileRange.OfChannels(normalised, 6, "test"));
            var (movedNorm, moved) = (reparameterization.Apply(norm), reparameterization.Apply(linear));
            var expected = linear.Apply(normalised);
            var size = expected.abs().max().item<float>() + moved.Weight.abs().max().item<float>() * movedNorm.Apply(input).abs().max().item<float>();
            GoldenTensors.AssertClose(expected, moved.Apply(movedNorm.Apply(input)), 1e-4 * size);
        }).Check(RandomTensors.Properties);
    }
}
