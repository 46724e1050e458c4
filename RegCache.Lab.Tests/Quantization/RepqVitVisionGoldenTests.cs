using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Tests.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

[Trait("Category", "Golden")]
public sealed class RepqVitVisionGoldenTests : IDisposable
{
    private readonly VisionGolden _golden = new("repqvit_vit.safetensors");

    [Fact]
    public void FloatLogitsMatch()
    {
        using var noGradient = torch.no_grad();
        _golden.AssertLogits("fp.calib_logits", _golden.Values["calib_images"], _golden.Plain, 1e-4);
        _golden.AssertLogits("fp.test_logits", _golden.Values["test_images"], _golden.Plain, 1e-4);
    }

    [Fact]
    public void CalibrationFindsTheScales()
    {
        using var images = _golden.CalibrationImages();
        foreach (var (prefix, bits) in _golden.Cases())
        {
            using var scope = torch.NewDisposeScope();
            using var calibration = new RepqVitCalibrator(_golden.Tower, images, bits);
            var found = (CalibratedQuantizer)calibration.Calibrate(_golden.Plain);
            var seen = new HashSet<string>();
            void Assert(string phase, string layer, string operand, ITensorQuantizer quantizer)
            {
                // Early scales are exact but for percentiles; later ones follow a stream that rounding may move.
                var tolerance = layer.StartsWith("block0", StringComparison.Ordinal) || layer == "conv1" ? 1e-3 : 1e-2;
                var name = $"{prefix}.{phase}.{layer}.{operand}";
                void Close(string suffix, torch.Tensor actual, double absolute)
                {
                    GoldenTensors.AssertClose(_golden.Values[$"{name}.{suffix}"], actual.flatten(), absolute, tolerance);
                    seen.Add($"{name}.{suffix}");
                }

                if (quantizer is UniformQuantizer grid)
                {
                    Close("delta", grid.Scale, 0);
                    Close("zero_point", grid.ZeroPoint!, 1);
                }
                else
                {
                    Close("delta", torch.tensor(new[] { ((LogSqrt2Quantizer)quantizer).Scale }), 0);
                }
            }

            foreach (var phase in new[] { "init", "final" })
            {
                Assert(phase, "conv1", "input", found.Patches!.Input!);
                Assert(phase, "conv1", "weight", found.Patches.Weight);
                for (var block = 0; block < found.Blocks.Count; block++)
                {
                    foreach (var kind in LinearKinds.All)
                    {
                        var initial = calibration.Initialized(block).Linears[kind];
                        var final = found.Blocks[block].Linears[kind];
                        Assert(phase, $"block{block}.{kind.Name()}", "input", phase == "init" ? initial.Input : final.Input);
                        Assert(phase, $"block{block}.{kind.Name()}", "weight", phase == "init" ? initial.Weight : final.Weight);
                    }

                    var attention = found.Blocks[block].Attention!;
                    Assert(phase, $"block{block}.attn.qk", "A", attention.Query);
                    Assert(phase, $"block{block}.attn.qk", "B", attention.Key);
                    Assert(phase, $"block{block}.attn.av", "A", attention.Probabilities);
                    Assert(phase, $"block{block}.attn.av", "B", attention.Value);
                }
            }

            Xunit.Assert.Equal(
                _golden.Values.Keys.Where(key => key.StartsWith($"{prefix}.init.", StringComparison.Ordinal) || key.StartsWith($"{prefix}.final.", StringComparison.Ordinal)).Order(),
                seen.Order());
            using var noGradient = torch.no_grad();
            using var logits = _golden.Logits(_golden.Values["test_images"], found.ApplyTo(_golden.Plain));
            var difference = logits - _golden.Values[$"{prefix}.test_logits"];
            var fromFloat = _golden.Values["fp.test_logits"] - _golden.Values[$"{prefix}.test_logits"];
            Xunit.Assert.True(difference.norm().item<float>() <= fromFloat.norm().item<float>(), $"{prefix}: logits");
        }
    }

    [Fact]
    public void TeacherForcedScalesMatch()
    {
        var cases = _golden.Values.Keys.Where(key => key.Contains(".init_input.", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(cases);
        foreach (var key in cases)
        {
            using var scope = torch.NewDisposeScope();
            var bits = QuantizationBits.Parse(key.Split('.')[0]).Activations;
            var scales = key.Replace(".init_input.", ".init.");
            scales = scales.EndsWith(".x", StringComparison.Ordinal) ? $"{scales[..^2]}.input" : scales;
            var delta = _golden.Values[$"{scales}.delta"];
            var values = _golden.Values[key];
            var actual = scales.EndsWith("av.A", StringComparison.Ordinal)
                ? torch.tensor(new[] { PercentileRange.OfProbabilities(values, bits, key).Scale })
                : (delta.NumberOfElements > 1 ? PercentileRange.OfChannels(values, bits, key) : PercentileRange.OfTensor(values, bits, key)).Scale;
            GoldenTensors.AssertClose(delta, actual.flatten(), 0, 1e-4);
        }
    }

    [Fact]
    public void ReparameterizationMatches()
    {
        foreach (var (prefix, bits) in _golden.Cases())
        {
            using var scope = torch.NewDisposeScope();
            using var noGradient = torch.no_grad();
            for (var block = 0; block < _golden.Tower.Blocks.Count; block++)
            {
                var plain = _golden.Tower.Blocks[block];
                foreach (var (kind, norm, linear, names) in new[]
                {
                    (LinearKind.AttentionIn, plain.AttentionNorm, plain.AttentionIn, ("ln_1", "attn.in_proj_weight", "attn.in_proj_bias")),
                    (LinearKind.MlpIn, plain.MlpNorm, ((FeedForward)plain.Mlp).In, ("ln_2", "mlp.c_fc.weight", "mlp.c_fc.bias")),
                })
                {
                    var (_, reparameterization) = Reparameterized(prefix, bits, block, kind);
                    torch.Tensor Expected(string name) =>
                        _golden.Values[$"{prefix}.reparam.visual.transformer.resblocks.{block}.{name}"];
                    var (movedNorm, moved) = (reparameterization.Apply(norm), reparameterization.Apply(linear));
                    AssertNear(Expected($"{names.Item1}.weight"), movedNorm.Weight);
                    AssertNear(Expected($"{names.Item1}.bias"), movedNorm.Bias);
                    AssertNear(Expected(names.Item2), moved.Weight);
                    AssertNear(Expected(names.Item3), moved.Bias!);
                }
            }

            using var logits = _golden.Logits(
                _golden.Values["test_images"], EncoderPlan.Uniform(_golden.Tower.Blocks.Count, new FloatReparameterized(this, prefix, bits)));
            GoldenTensors.AssertClose(_golden.Values[$"{prefix}.reparam_fp_test_logits"], logits, 1e-3);
            GoldenTensors.AssertClose(_golden.Values["fp.test_logits"], logits, 1e-3);
        }
    }

    [Fact]
    public void InjectedScalesGiveTheLogits()
    {
        AssertInjected(_golden);
    }

    [IntegerFact]
    public void InjectedScalesGiveTheLogitsInIntegers()
    {
        var backend = new OneDnnBackend(ExecutionMode.Integer);
        using var golden = new VisionGolden("repqvit_vit.safetensors", backend);
        AssertInjected(golden);
        Assert.Equal(LinearKinds.All.Count * golden.Tower.Blocks.Count, backend.IntegerLayers.Count);
        Assert.Empty(backend.SimulatedLayers);
    }

    private void AssertInjected(VisionGolden golden)
    {
        using var noGradient = torch.no_grad();
        foreach (var (prefix, bits) in _golden.Cases())
        {
            var plan = Inject(prefix, bits).ApplyTo(_golden.Plain);
            foreach (var set in new[] { "calib", "test" })
            {
                using var logits = golden.Logits(_golden.Values[$"{set}_images"], plan);
                using var difference = (logits - _golden.Values[$"{prefix}.{set}_logits"]).abs();
                // One code at a rounding boundary may flip; most logits must agree closely.
                Assert.InRange(difference.max().item<float>(), 0, 5e-2);
                Assert.InRange(difference.median().item<float>(), 0, 1e-4);
            }
        }
    }

    public void Dispose() => _golden.Dispose();

    private static void AssertNear(torch.Tensor expected, torch.Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.InRange((actual - expected).norm().item<float>(), 0, 1e-5 * expected.norm().item<float>());
    }

    private UniformQuantizer Grid(string name, int bits, params long[] shape) => new(
        _golden.Values[$"{name}.delta"].reshape(shape), _golden.Values[$"{name}.zero_point"].reshape(shape), 0, (1 << bits) - 1);

    private (UniformQuantizer Grid, ScaleReparameterization Reparameterization) Reparameterized(string prefix, QuantizationBits bits, int block, LinearKind kind) =>
        ScaleReparameterization.Of(Grid($"{prefix}.init.block{block}.{kind.Name()}.input", bits.Activations, 1, 1, -1));

    private CalibratedQuantizer Inject(string prefix, QuantizationBits bits)
    {
        CalibratedLinear Linear(int block, LinearKind kind)
        {
            var name = $"{prefix}.final.block{block}.{kind.Name()}";
            return new(Grid($"{name}.input", bits.Activations, -1), Grid($"{name}.weight", bits.Weights, -1, 1))
            {
                Reparameterization = kind is LinearKind.AttentionIn or LinearKind.MlpIn ? Reparameterized(prefix, bits, block, kind).Reparameterization : null,
            };
        }

        UniformQuantizer Operand(int block, string name) => Grid($"{prefix}.final.block{block}.attn.{name}", bits.Activations, -1);
        return new(
            "golden",
            new(Grid($"{prefix}.final.conv1.input", 8, -1), Grid($"{prefix}.final.conv1.weight", bits.Weights, -1, 1, 1, 1)),
            [.. _golden.Tower.Blocks.Select((_, block) => new CalibratedBlock(
                LinearKinds.All.ToDictionary(kind => kind, kind => Linear(block, kind)),
                new(
                    Operand(block, "qk.A"),
                    Operand(block, "qk.B"),
                    new LogSqrt2Quantizer(_golden.Values[$"{prefix}.final.block{block}.attn.av.A.delta"].item<float>(), bits.Activations),
                    Operand(block, "av.B"))))]);
    }

    private sealed class FloatReparameterized(RepqVitVisionGoldenTests owner, string prefix, QuantizationBits bits) : ILayerTransform
    {
        public BlockLayers Apply(int block, BlockLayers plain)
        {
            ScaleReparameterization Of(LinearKind kind) => owner.Reparameterized(prefix, bits, block, kind).Reparameterization;
            var layers = plain.With(LinearKind.AttentionIn, Of(LinearKind.AttentionIn).Apply).With(LinearKind.MlpIn, Of(LinearKind.MlpIn).Apply);
            return layers with
            {
                AttentionNorm = Of(LinearKind.AttentionIn).Apply(plain.AttentionNorm),
                MlpNorm = Of(LinearKind.MlpIn).Apply(plain.MlpNorm),
            };
        }
    }
}
