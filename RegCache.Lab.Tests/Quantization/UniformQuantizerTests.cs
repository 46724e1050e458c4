using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Quantization;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

public sealed class UniformQuantizerTests
{
    private static readonly float[] _special =
        [0, -0f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, -float.MaxValue, float.Epsilon, 0.5f, -0.5f, 1.5f, 2.5f];

    [Fact]
    public void EqualsTheTensorOperatorsBitForBit()
    {
        var layouts =
            from rank in Gen.Choose(1, 4)
            from shape in Gen.Choose(0, 7).ArrayOf(rank)
            from leading in Gen.Choose(0, rank)
            from tail in Gen.Choose(1, 90)
            from bits in Gen.Choose(QuantizationBits.Minimum, QuantizationBits.Maximum)
            from hasZeroPoint in Gen.Elements(true, false)
            from seed in Gen.Choose(0, int.MaxValue)
            select (Shape: shape.Append(tail).Select(size => (long)size).ToArray(), leading, bits, hasZeroPoint, seed);
        Prop.ForAll(layouts.ToArbitrary(), layout =>
        {
            using var scope = torch.NewDisposeScope();
            var random = new Random(layout.seed);
            var scaleShape = layout.Shape.Select((size, axis) => axis < layout.leading ? size : 1).ToArray();
            var scale = Fill(scaleShape, () => MathF.Exp((random.NextSingle() * 20) - 10));
            var zeroPoint = layout.hasZeroPoint ? Fill(scaleShape, () => random.Next(1 << layout.bits)) : null;
            var half = 1 << (layout.bits - 1);
            var grid = layout.hasZeroPoint
                ? new UniformQuantizer(scale, zeroPoint, 0, (2 * half) - 1)
                : new UniformQuantizer(scale, null, -half, half - 1);
            var values = Fill(layout.Shape, () => random.Next(8) == 0
                ? _special[random.Next(_special.Length)]
                : (random.NextSingle() - 0.5f) * MathF.Exp((random.NextSingle() * 20) - 8));
            AssertSameBits(grid.Decode(grid.Encode(values)), grid.FakeQuantize(values));
        }).Check(RandomTensors.Properties);
    }

    [Fact]
    public void ManyGroupsAndLargeGroupsAreSplitOverTheCores()
    {
        var draw = new RandomTensors(1);
        foreach (var (shape, scaleShape) in new (long[], long[])[]
        {
            ([3, 100_003], [3, 1]), ([7_001, 50], [7_001, 1]), ([300_007], [1]), ([6, 4, 9, 33], [1, 4, 1, 1]), ([6, 4, 9, 33], [4, 1, 1]),
        })
        {
            using var scope = torch.NewDisposeScope();
            var values = draw.Normal(shape);
            var grid = new UniformQuantizer(draw.Uniform(scaleShape) + 0.01, null, -8, 7);
            Assert.NotNull(grid.LeadingGroups(values));
            AssertSameBits(grid.Decode(grid.Encode(values)), grid.FakeQuantize(values));
        }
    }

    [Fact]
    public void OtherLayoutsTakeTheTensorOperators()
    {
        using var scope = torch.NewDisposeScope();
        var draw = new RandomTensors(2);
        var values = draw.Normal(4, 6);
        var perColumn = new UniformQuantizer(draw.Uniform(1, 6) + 0.1, null, -8, 7);
        Assert.Null(perColumn.LeadingGroups(values));
        Assert.Null(new UniformQuantizer(torch.ones(1, 1), null, -8, 7).LeadingGroups(values.t()));
        Assert.Null(new UniformQuantizer(torch.ones(1, 1), null, -8, 7).LeadingGroups(values.to(torch.ScalarType.Float64)));
        var transposed = draw.Normal(4, 3, 16).transpose(0, 1);
        var perRow = new UniformQuantizer(draw.Uniform(3, 1, 1) + 0.1, null, -8, 7);
        AssertSameBits(perRow.Decode(perRow.Encode(transposed)), perRow.FakeQuantize(transposed));
        AssertSameBits(perColumn.Decode(perColumn.Encode(values)), perColumn.FakeQuantize(values));
    }

    [Fact]
    public void RequiringAGradientTakesTheTensorOperators()
    {
        using var scope = torch.NewDisposeScope();
        var values = new RandomTensors(3).Normal(4, 6).requires_grad_();
        var grid = new UniformQuantizer(torch.ones(1, 1), null, -8, 7);
        Assert.Null(grid.LeadingGroups(values));
        using var noGradient = torch.no_grad();
        Assert.NotNull(grid.LeadingGroups(values));
    }

    private static torch.Tensor Fill(long[] shape, Func<float> next)
    {
        var values = new float[shape.Aggregate(1L, (product, size) => product * size)];
        foreach (ref var value in values.AsSpan())
        {
            value = next();
        }

        return torch.tensor(values).reshape(shape);
    }

    private static void AssertSameBits(torch.Tensor expected, torch.Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        if (expected.NumberOfElements == 0)
        {
            return;
        }

        var (wanted, found) = (Words(expected), Words(actual));
        for (var index = 0; index < wanted.Length; index++)
        {
            // The sign of NaN is not defined.
            Assert.True(wanted[index] == found[index] || (float.IsNaN(Value(wanted[index])) && float.IsNaN(Value(found[index]))), $"element {index}: {Value(wanted[index])} and {Value(found[index])}");
        }
    }

    private static float Value(int word) => BitConverter.Int32BitsToSingle(word);

    private static int[] Words(torch.Tensor tensor) => MemoryMarshal.Cast<byte, int>(tensor.contiguous().bytes).ToArray();
}
