using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization.Integer;

public sealed class IntegerLinearTests
{
    private const string Name = "visual.transformer.resblocks.3.mlp.c_fc";

    private static readonly Gen<(NaiveQuantizer Quantizer, int Seed)> _settings =
        from weights in Gen.Choose(QuantizationBits.Minimum, QuantizationBits.Maximum)
        from activations in Gen.Choose(QuantizationBits.Minimum, QuantizationBits.Maximum)
        from scope in Gen.Elements(Enum.GetValues<ActivationScope>())
        from granularity in Gen.Elements(Enum.GetValues<WeightGranularity>())
        from asymmetric in Gen.Elements(true, false)
        from seed in Gen.Choose(0, int.MaxValue)
        select (
            new NaiveQuantizer(new(weights, activations)) { Scope = scope, Granularity = granularity, AsymmetricActivations = asymmetric },
            seed);

    [IntegerFact]
    public void DynamicCodesAndSumsAreExact() => Prop.ForAll(_settings.ToArbitrary(), setting =>
    {
        using var scope = torch.NewDisposeScope();
        var (plain, input) = Random(setting.Seed);
        var simulated = (QuantizedLinear)setting.Quantizer.Quantize(plain, Name);
        AssertSame(simulated, setting.Quantizer.ActivationGrid(input), input);
    }).Check(RandomTensors.Properties);

    [IntegerFact]
    public void StaticGridsOfAnyKindAreExact() => Prop.ForAll(_settings.ToArbitrary(), setting =>
    {
        using var scope = torch.NewDisposeScope();
        var (plain, input) = Random(setting.Seed);
        var random = new Random(setting.Seed);
        // Zero points between codes, as RepQ-ViT has them, and ranges that clip some of the values.
        var (bits, largest) = (setting.Quantizer.Bits, input.abs().max().item<float>());
        var grid = new UniformQuantizer(
            torch.tensor(new[] { (float)(largest / (1 << bits.Activations) * (0.5 + random.NextDouble())) }),
            torch.tensor(new[] { (float)((random.NextDouble() * 1.4) - 0.2) * (1 << bits.Activations) }),
            0,
            (1 << bits.Activations) - 1);
        var weight = PercentileRange.OfWeights(plain.Weight, bits.Weights);
        AssertSame((QuantizedLinear)new CalibratedLinear(grid, weight).Quantize(plain), grid, input);
    }).Check(RandomTensors.Properties);

    [IntegerFact]
    public void WholeZeroPointsAndSymmetricGridsAreExact()
    {
        using var scope = torch.NewDisposeScope();
        var (plain, input) = Random(seed: 5);
        var groups = MinMaxRange.Symmetric(plain.Weight, 8, WeightGranularity.Row);
        foreach (var zero in new float?[] { null, 0, 17, 200, -40 })
        {
            var grid = new UniformQuantizer(
                torch.tensor(new[] { 0.01f }), zero is { } point ? torch.tensor(new[] { point }) : null, zero is null ? -128 : 0, zero is null ? 127 : 255);
            AssertSame((QuantizedLinear)new CalibratedLinear(grid, groups).Quantize(plain), grid, input);
        }
    }

    [IntegerFact]
    public void WeightsComeBack()
    {
        using var scope = torch.NewDisposeScope();
        var (plain, _) = Random(seed: 3);
        foreach (var grid in new[] { MinMaxRange.Symmetric(plain.Weight, 8, WeightGranularity.Row), PercentileRange.OfWeights(plain.Weight, 6) })
        {
            var simulated = (QuantizedLinear)new CalibratedLinear(new UniformQuantizer(torch.tensor(new[] { 0.1f }), null, -128, 127), grid).Quantize(plain);
            var integer = IntegerLinear.TryCreate(simulated, Name)!;
            GoldenTensors.AssertClose(simulated.Weight, integer.Weight, 0);
        }
    }

    [IntegerFact]
    public void ThreadsDoNotMatter()
    {
        using var scope = torch.NewDisposeScope();
        var draw = new RandomTensors(0);
        var plain = new Linear(draw.Normal(300, 200), draw.Normal(300));
        var input = draw.Normal(3, 70, 200);
        var integer = Create((QuantizedLinear)new NaiveQuantizer(new(8, 8)).Quantize(plain, Name));
        var before = torch.get_num_threads();
        try
        {
            torch.set_num_threads(1);
            var alone = integer.Apply(input);
            torch.set_num_threads(3);
            GoldenTensors.AssertIdentical(alone, integer.Apply(input));
        }
        finally
        {
            torch.set_num_threads(before);
        }
    }

    [IntegerFact]
    public void EmptyAndSingleRowsWork()
    {
        using var scope = torch.NewDisposeScope();
        var (plain, _) = Random(seed: 8);
        var integer = Create((QuantizedLinear)new NaiveQuantizer(new(8, 8)).Quantize(plain, Name));
        var width = plain.Weight.shape[1];
        Assert.Equal([0, 4, plain.Weight.shape[0]], integer.Apply(torch.zeros(0, 4, width)).shape);
        Assert.Equal([1, plain.Weight.shape[0]], integer.Apply(torch.zeros(1, width)).shape);
        GoldenTensors.AssertClose(plain.Bias!, integer.Apply(torch.zeros(width)), 1e-6);
    }

    [IntegerFact]
    public void WhatIsNotFiniteIsRefusedByName()
    {
        using var scope = torch.NewDisposeScope();
        var (plain, _) = Random(seed: 4);
        var width = plain.Weight.shape[1];
        var dynamic = Enum.GetValues<ActivationScope>().Select(
            over => (QuantizedLinear)new NaiveQuantizer(new(8, 8)) { Scope = over }.Quantize(plain, Name));
        var fixedGrid = new CalibratedLinear(
            new UniformQuantizer(torch.tensor(new[] { 0.1f }), null, -128, 127), MinMaxRange.Symmetric(plain.Weight, 8, WeightGranularity.Row)).Quantize(plain);
        foreach (var simulated in dynamic.Append((QuantizedLinear)fixedGrid))
        {
            var input = new RandomTensors(0).Normal(3, 5, width);
            input[2, 1, 0] = torch.tensor(float.NaN);
            var error = Assert.Throws<UserException>(() => Create(simulated).Apply(input));
            Assert.Contains($"{Name} holds NaN or infinite values in image 2 ", error.Message, StringComparison.Ordinal);
        }
    }

    [IntegerFact]
    public void OtherValuesStaySimulated()
    {
        using var scope = torch.NewDisposeScope();
        var (plain, _) = Random(seed: 6);
        var width = plain.Weight.shape[1];
        var weights = MinMaxRange.Symmetric(plain.Weight, 8, WeightGranularity.Row);
        ITensorQuantizer[] inputs =
        [
            new PostGeluQuantizer(0.1f, 8),
            new LogSqrt2Quantizer(1, 8),
            new UniformQuantizer(torch.ones(1, 1, width), torch.zeros(1, 1, width), 0, 255),
            new UniformQuantizer(torch.tensor(new[] { 1f }), torch.tensor(new[] { 1e6f }), 0, 255),
            new UniformQuantizer(torch.tensor(new[] { 1f }), null, -256, 255),
        ];
        Assert.All(inputs, input => Assert.Null(
            IntegerLinear.TryCreate((QuantizedLinear)new CalibratedLinear(input, weights).Quantize(plain), Name)));
        var fine = new UniformQuantizer(torch.tensor(new[] { 1f }), null, -128, 127);
        var betweenCodes = new UniformQuantizer(torch.ones(plain.Weight.shape[0], 1), torch.full([plain.Weight.shape[0], 1], 0.5f), 0, 255);
        Assert.Null(IntegerLinear.TryCreate((QuantizedLinear)new CalibratedLinear(fine, betweenCodes).Quantize(plain), Name));
    }

    // The integers of the kernel against those of the grids, and the output, in exact arithmetic.
    private static void AssertSame(QuantizedLinear simulated, UniformQuantizer grid, Tensor input)
    {
        var weight = simulated.Weight;
        var weights = IntegerWeights.Of(weight, simulated.WeightGrid)!;
        var integer = IntegerLinear.TryCreate(simulated, Name);
        Assert.NotNull(integer);

        var (codes, sums) = integer.Inspect(input);
        // Codes count from the lowest one, in whole steps from zero whatever lies between.
        var zero = ((grid.ZeroPoint ?? torch.zeros(1)) - grid.Lowest).ceil();
        var wanted = (input.div(grid.Scale).round() + zero).clamp(0, grid.Highest - grid.Lowest).view(codes.shape);
        GoldenTensors.AssertIdentical(wanted.to(torch.ScalarType.Byte), codes, "codes");
        var products = codes.to(torch.ScalarType.Float64).matmul(weights.Codes.to(torch.ScalarType.Float64).t());
        GoldenTensors.AssertIdentical(products.to(torch.ScalarType.Int32), sums, "sums");

        // The output in double precision. (The simulated layer rounds on the way to a zero point between codes and back.)
        static Tensor Wide(Tensor values) => values.to(torch.ScalarType.Float64);
        var point = Wide(grid.ZeroPoint ?? torch.zeros(1));
        var quantized = ((Wide(input.div(grid.Scale).round()) + point).clamp(grid.Lowest, grid.Highest) - point) * Wide(grid.Scale);
        var rows = (Wide(weights.Codes) + Wide(weights.Offset ?? torch.zeros(1)).unsqueeze(1)) * Wide(weights.Scale).unsqueeze(1);
        var bias = simulated.Bias is null ? null : Wide(simulated.Bias);
        var expected = torch.nn.functional.linear(quantized, rows, bias);
        var magnitudes = torch.nn.functional.linear(quantized.abs(), rows.abs(), bias?.abs());
        var off = (Wide(integer.Apply(input)) - expected).abs() - (magnitudes * 4e-7);
        Assert.True(off.max().item<double>() <= 0, $"outputs are off by {off.max().item<double>():g3} more than rounding");
    }

    private static IntegerLinear Create(QuantizedLinear simulated) =>
        IntegerLinear.TryCreate(simulated, Name) ?? throw new InvalidOperationException("the layer has no integer form");

    private static (Linear Plain, Tensor Input) Random(int seed)
    {
        var (random, draw) = (new Random(seed), new RandomTensors(seed));
        var (inputs, outputs) = (random.Next(1, 150), random.Next(1, 500));
        var input = draw.Normal(random.Next(1, 4), random.Next(1, 40), inputs) * Math.Exp((random.NextDouble() * 10) - 5);
        // One huge entry, as outlier tokens have, and a tensor that lies on one side of zero.
        input[0, 0, 0] = torch.tensor((float)(random.NextDouble() * 100) * input.abs().max().item<float>());
        input = random.Next(3) == 0 ? input.abs() : input;
        return (new(draw.Normal(outputs, inputs), random.Next(4) == 0 ? null : draw.Normal(outputs)), input);
    }
}
