using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Quantization.RepqVit;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

public sealed class QuantilesTests
{
    private static readonly double[] _fractions = [0.999, 1 - 0.999, 0.9999, 1 - 0.9999, 0.99999, 1 - 0.99999, 0.5];

    [Fact]
    public void EqualTorchQuantile()
    {
        var shapes =
            from rows in Gen.Choose(1, 5)
            from length in Gen.Frequency((4, Gen.Choose(1, 300)), (2, Gen.Choose(1000, 9000)), (1, Gen.Choose(66_000, 90_000)))
            from seed in Gen.Choose(0, int.MaxValue)
            select (rows, length, seed);
        Prop.ForAll(shapes.ToArbitrary(), shape =>
        {
            using var scope = torch.NewDisposeScope();
            // Cubes have heavy tails; rounding makes equal values.
            var values = new RandomTensors(shape.seed).Normal(shape.rows, shape.length).pow(3);
            values = shape.seed % 2 == 0 ? values : (values * 4).round();
            var expected = values.quantile(torch.tensor(_fractions, torch.ScalarType.Float32), 1).t();
            var found = Quantiles.OfRows(values, _fractions);
            var actual = torch.tensor(found.SelectMany(row => row).ToArray()).view(shape.rows, _fractions.Length);
            // The last bit depends on whether the operator's interpolation is fused.
            GoldenTensors.AssertClose(expected, actual, values.abs().max().item<float>() * 2e-7, 1e-6);
        }).Check(RandomTensors.Properties);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void BeyondTorchsLimitRanksAreExact()
    {
        using var scope = torch.NewDisposeScope();
        const long length = Quantiles.SingleRankLimit + 5;
        var values = new RandomTensors(3).Normal(1, length);
        var found = Quantiles.OfRows(values, _fractions)[0];
        var (sorted, _) = values.flatten().sort();
        for (var index = 0; index < _fractions.Length; index++)
        {
            var rank = _fractions[index] * (length - 1);
            var (below, above) = (sorted[(long)rank].ToDouble(), sorted[(long)rank + 1].ToDouble());
            Assert.Equal(below + ((rank - Math.Floor(rank)) * (above - below)), found[index], 1e-6);
        }
    }
}
