using System.Text.RegularExpressions;
using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Tests.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

[Trait("Category", "Golden")]
public sealed partial class NaiveGoldenTests
{
    // Codes may differ by one where x / s is this close to a half: the division rounds in another order.
    private const double Boundary = 1e-4;

    private static readonly Dictionary<string, torch.Tensor> _golden = GoldenTensors.Load("quantizers", "naive.safetensors");

    [Fact]
    public void SymmetricActivationsMatch()
    {
        var cases = Cases(SymmetricActivation());
        foreach (var (match, name) in cases)
        {
            using var scope = torch.NewDisposeScope();
            var values = _golden[$"act.{match.Groups["n"]}.x"];
            AssertGrid(name, values, MinMaxRange.Symmetric(values, Bits(match), Enum.Parse<ActivationScope>(match.Groups["scope"].Value, true)));
        }
    }

    [Fact]
    public void AsymmetricActivationsMatch()
    {
        foreach (var (match, name) in Cases(AsymmetricActivation()))
        {
            using var scope = torch.NewDisposeScope();
            var values = _golden[$"act.{match.Groups["n"]}.x"];
            var grid = MinMaxRange.Asymmetric(values, Bits(match), Enum.Parse<ActivationScope>(match.Groups["scope"].Value, true));
            GoldenTensors.AssertClose(_golden[$"{name}.zero_point"], grid.ZeroPoint!, 0);
            AssertGrid(name, values, grid);
        }
    }

    [Fact]
    public void WeightsMatch()
    {
        foreach (var (match, name) in Cases(Weight()))
        {
            using var scope = torch.NewDisposeScope();
            var weight = _golden["linear.weight"];
            var granularity = Enum.Parse<WeightGranularity>(match.Groups["granularity"].Value, true);
            AssertGrid(name, weight, MinMaxRange.Symmetric(weight, Bits(match), granularity));
        }
    }

    [Fact]
    public void LinearLayersMatch()
    {
        using var noGradient = torch.no_grad();
        var plain = new Linear(_golden["linear.weight"], _golden["linear.bias"]);
        foreach (var (match, name) in Cases(LinearOutput()))
        {
            using var scope = torch.NewDisposeScope();
            var quantizer = new NaiveQuantizer(new(Bits(match, "w"), Bits(match, "a")))
            {
                Scope = Enum.Parse<ActivationScope>(match.Groups["scope"].Value, true),
            };
            var output = quantizer.Quantize(plain, "the golden layer").Apply(_golden[$"act.{match.Groups["n"]}.x"]);
            var expected = _golden[name];
            Assert.InRange(((output - expected).norm() / expected.norm()).item<float>(), 0, 1e-5);
        }
    }

    [IntegerFact]
    public void IntegersMatch()
    {
        using var noGradient = torch.no_grad();
        var plain = new Linear(_golden["linear.weight"], _golden["linear.bias"]);
        var (values, beside) = (0L, 0L);
        foreach (var (match, name) in Cases(LinearOutput()))
        {
            using var scope = torch.NewDisposeScope();
            var (over, input) = (match.Groups["scope"].Value, _golden[$"act.{match.Groups["n"]}.x"]);
            var quantizer = new NaiveQuantizer(new(Bits(match, "w"), Bits(match, "a"))) { Scope = Enum.Parse<ActivationScope>(over, true) };
            var integer = IntegerLinear.TryCreate((QuantizedLinear)quantizer.Quantize(plain, name), name)!;
            var expected = _golden[name];
            Assert.InRange(((integer.Apply(input) - expected).norm() / expected.norm()).item<float>(), 0, 1e-5);

            // Signed codes are stored from 0 on.
            var codes = integer.Inspect(input).Codes.to(torch.ScalarType.Float32).view(input.shape) - (1 << (Bits(match, "a") - 1));
            var golden = _golden[$"act.{match.Groups["n"]}.sym.{over}.b{Bits(match, "a")}.q"].to(torch.ScalarType.Float32);
            values += codes.NumberOfElements;
            beside += codes.ne(golden).sum().item<long>();
            Assert.True((codes - golden).abs().max().item<float>() <= 1, $"{name}: a code differs by more than one");
        }

        Assert.True(beside <= 1e-5 * values, $"{beside} of {values} codes differ");
    }

    private static void AssertGrid(string name, torch.Tensor values, UniformQuantizer grid)
    {
        GoldenTensors.AssertClose(_golden[$"{name}.scale"], grid.Scale, 0, 1e-6);
        var codes = grid.Encode(values);
        var quotient = values / _golden[$"{name}.scale"];
        var toBoundary = ((quotient - quotient.floor()) - 0.5).abs();
        var difference = (codes - _golden[$"{name}.q"].to(codes.dtype)).abs();
        Assert.True(difference.max().item<float>() <= 1, $"{name}: a code differs by more than one");
        Assert.False((difference.gt(0) & toBoundary.ge(Boundary)).any().item<bool>(), $"{name}: a code differs");
        if (_golden.TryGetValue($"{name}.dq", out var expected))
        {
            var dequantized = grid.FakeQuantize(values);
            GoldenTensors.AssertClose(grid.Decode(codes), dequantized, 0);
            var step = grid.Scale.max().item<float>();
            GoldenTensors.AssertClose(expected, torch.where(difference.gt(0), expected, dequantized), step * 1e-6, 1e-6);
        }
    }

    private static int Bits(Match match, string group = "bits") => int.Parse(match.Groups[group].ValueSpan);

    private static List<(Match Match, string Name)> Cases(Regex pattern)
    {
        var cases = _golden.Keys.Select(key => pattern.Match(key)).Where(match => match.Success)
            .Select(match => (match, match.Groups["name"].Value)).ToList();
        Assert.NotEmpty(cases);
        return cases;
    }

    [GeneratedRegex(@"^(?<name>act\.(?<n>\w+)\.sym\.(?<scope>\w+)\.b(?<bits>\d+))\.scale$")]
    private static partial Regex SymmetricActivation();

    [GeneratedRegex(@"^(?<name>act\.(?<n>\w+)\.asym\.(?<scope>\w+)\.b(?<bits>\d+))\.scale$")]
    private static partial Regex AsymmetricActivation();

    [GeneratedRegex(@"^(?<name>weight\.sym\.(?<granularity>\w+)\.b(?<bits>\d+))\.scale$")]
    private static partial Regex Weight();

    [GeneratedRegex(@"^(?<name>linear\.(?<n>\w+)\.(?<scope>\w+)\.w(?<w>\d+)a(?<a>\d+)\.y)$")]
    private static partial Regex LinearOutput();
}
