using System.Text.RegularExpressions;
using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.RepqVit;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

[Trait("Category", "Golden")]
public sealed partial class RepqVitLayerGoldenTests
{
    private static readonly Dictionary<string, torch.Tensor> _golden = GoldenTensors.Load("quantizers", "repqvit_layers.safetensors");

    [Fact]
    public void UniformQuantizersMatch()
    {
        foreach (var (name, match) in Cases(UniformCase()))
        {
            using var scope = torch.NewDisposeScope();
            var values = Input(match.Groups["n"].Value);
            var bits = Bits(match, "b");
            var grid = match.Groups["kind"].Value switch
            {
                "tensor" => PercentileRange.OfTensor(values, bits, name),
                "channel" => PercentileRange.OfChannels(values, bits, name),
                "row" => PercentileRange.OfWeights(values, bits),
                var other => throw new InvalidDataException(other),
            };
            var (delta, zeroPoint) = (_golden[$"{name}.delta"], _golden[$"{name}.zero_point"]);
            Assert.Equal(delta.NumberOfElements, grid.Scale.NumberOfElements);
            GoldenTensors.AssertClose(delta.flatten(), grid.Scale.flatten(), 0, 1e-4);
            GoldenTensors.AssertClose(zeroPoint.flatten(), grid.ZeroPoint!.flatten(), 0);
            var injected = new UniformQuantizer(
                delta.reshape(grid.Scale.shape), zeroPoint.reshape(grid.Scale.shape), grid.Lowest, grid.Highest);
            var expected = _golden[$"{name}.dq"];
            GoldenTensors.AssertClose(expected, injected.FakeQuantize(values), expected.abs().max().item<float>() * 1e-6, 1e-6);
        }
    }

    [Fact]
    public void SoftmaxQuantizersMatch()
    {
        foreach (var (name, match) in Cases(SoftmaxCase()))
        {
            using var scope = torch.NewDisposeScope();
            var values = Input(match.Groups["n"].Value);
            var found = PercentileRange.OfProbabilities(values, Bits(match, "b"), name);
            var delta = _golden[$"{name}.delta"].item<float>();
            Assert.Equal(delta, found.Scale, delta * 1e-4);
            var expected = _golden[$"{name}.dq"];
            var actual = (found with { Scale = delta }).FakeQuantize(values);
            // At a boundary of the logarithm's rounding a value may have the neighbouring code.
            var isClose = (actual - expected).abs().le(expected.abs() * 1e-5);
            Assert.True(isClose.to(torch.ScalarType.Float32).mean().item<float>() >= 0.999, name);
            var ratio = (actual / expected)[isClose.logical_not() & expected.gt(0)];
            Assert.True(ratio.NumberOfElements == 0 || (ratio.max().item<float>() < 1.5 && ratio.min().item<float>() > 0.7), name);
        }
    }

    [Fact]
    public void LinearLayersMatch()
    {
        foreach (var (name, match) in Cases(LinearCase()))
        {
            using var scope = torch.NewDisposeScope();
            var (input, weight) = (Input("ln"), Input("w"));
            var grid = match.Groups["kind"].Value == "channel"
                ? PercentileRange.OfChannels(input, Bits(match, "a"), name)
                : PercentileRange.OfTensor(input, Bits(match, "a"), name);
            var layer = new CalibratedLinear(grid, PercentileRange.OfWeights(weight, Bits(match, "w")))
                .Quantize(new Linear(weight, _golden["in.b"]));
            AssertNear(_golden[$"{name}.y_test"], layer.Apply(_golden["in.ln_test"]), name);
        }
    }

    [Fact]
    public void AttentionProductsMatch()
    {
        foreach (var (name, match) in Cases(MatmulCase()))
        {
            using var scope = torch.NewDisposeScope();
            var bits = Bits(match, "a");
            var isQueryKey = match.Groups["kind"].Value == "qk";
            var (left, right) = isQueryKey ? (Input("q"), Input("k").transpose(-2, -1)) : (Input("attn"), Input("v"));
            ITensorQuantizer first = isQueryKey
                ? PercentileRange.OfTensor(left, bits, name)
                : PercentileRange.OfProbabilities(left, bits, name);
            var second = PercentileRange.OfTensor(right, bits, name);
            AssertNear(_golden[$"{name}.y"], first.FakeQuantize(left).matmul(second.FakeQuantize(right)), name);
        }
    }

    private static torch.Tensor Input(string name) => _golden[name == "conv" ? "in.conv_w" : $"in.{name}"];

    private static void AssertNear(torch.Tensor expected, torch.Tensor actual, string name)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.True((actual - expected).norm().item<float>() <= 1e-4 * expected.norm().item<float>(), name);
    }

    private static int Bits(Match match, string group) => int.Parse(match.Groups[group].ValueSpan);

    private static List<(string Name, Match Match)> Cases(Regex pattern)
    {
        var cases = _golden.Keys.Select(key => pattern.Match(key)).Where(match => match.Success)
            .Select(match => (match.Groups["name"].Value, match)).ToList();
        Assert.NotEmpty(cases);
        return cases;
    }

    [GeneratedRegex(@"^(?<name>uniform\.(?<kind>\w+)\.(?<n>\w+)\.b(?<b>\d+))\.delta$")]
    private static partial Regex UniformCase();

    [GeneratedRegex(@"^(?<name>logsqrt2\.(?<n>\w+)\.b(?<b>\d+))\.delta$")]
    private static partial Regex SoftmaxCase();

    [GeneratedRegex(@"^(?<name>linear\.(?<kind>\w+)\.w(?<w>\d+)a(?<a>\d+))\.y_test$")]
    private static partial Regex LinearCase();

    [GeneratedRegex(@"^(?<name>matmul\.(?<kind>\w+)\.a(?<a>\d+))\.y$")]
    private static partial Regex MatmulCase();
}
