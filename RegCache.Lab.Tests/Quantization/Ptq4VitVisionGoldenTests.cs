using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Tests.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

[Trait("Category", "Golden")]
public sealed class Ptq4VitVisionGoldenTests : IDisposable
{
    private readonly VisionGolden _golden = new("ptq4vit_vit.safetensors");

    [Fact]
    public void FloatLogitsMatch()
    {
        using var noGradient = torch.no_grad();
        _golden.AssertLogits("fp.calib_logits", _golden.Values["calib_images"], _golden.Plain, 1e-4);
        _golden.AssertLogits("fp.test_logits", _golden.Values["test_images"], _golden.Plain, 1e-4);
    }

    [Fact]
    public void GradientsMatch()
    {
        using var scope = torch.NewDisposeScope();
        using var images = _golden.CalibrationImages();
        using var recording = new FloatRecording(
            _golden.Tower, _golden.Classifier, images, Options(new(8, 8)), _golden.Plain);
        var seen = 0;
        void AssertGradient(string name, torch.Tensor? gradient)
        {
            // Gradients are recorded up to a power of two, to which the search is indifferent.
            var expected = _golden.Values[$"grad.{name}"].flatten();
            var actual = gradient!.flatten();
            var scale = Math.Pow(2, Math.Round(Math.Log2(actual.norm().item<float>() / expected.norm().item<float>())));
            var difference = (actual / scale) - expected;
            Assert.True(difference.norm().item<float>() <= 1e-4 * expected.norm().item<float>(), name);
            seen++;
        }

        recording.VisitBlocks((block, recorder) =>
        {
            var layers = _golden.Tower.Blocks[block];
            var mlp = (FeedForward)layers.Mlp;
            foreach (var (kind, linear) in new[]
            {
                (LinearKind.AttentionIn, layers.AttentionIn), (LinearKind.AttentionOut, layers.AttentionOut),
                (LinearKind.MlpIn, mlp.In), (LinearKind.MlpOut, mlp.Out),
            })
            {
                AssertGradient($"block{block}.{kind.Name()}", recorder.Linear(kind, linear).Gradient);
            }

            AssertGradient($"block{block}.attn.qk", recorder.Product("attn.qk").Gradient);
            AssertGradient($"block{block}.attn.av", recorder.Product("attn.av").Gradient);
        });
        var channels = recording.Patches().Gradient!.transpose(1, 2).reshape(_golden.Values["grad.conv1"].shape);
        AssertGradient("conv1", channels);
        Assert.Equal(_golden.Values.Keys.Count(key => key.StartsWith("grad.", StringComparison.Ordinal)), seen);
    }

    [Fact]
    public void CalibrationFindsTheIntervals()
    {
        using var images = _golden.CalibrationImages();
        foreach (var (prefix, bits) in _golden.Cases())
        {
            var options = Options(bits);
            var found = (CalibratedQuantizer)new Ptq4VitCalibrator(_golden.Tower, _golden.Classifier, images, options)
                .Calibrate(_golden.Plain);
            var entries = Ptq4VitIntervals.Of(found, prefix).ToArray();
            string[] suffixes = ["_interval", ".split"];
            Assert.Equal(
                _golden.Values.Keys.Where(key => key.StartsWith($"{prefix}.", StringComparison.Ordinal)
                    && Array.Exists(suffixes, suffix => key.EndsWith(suffix, StringComparison.Ordinal))).Order(),
                entries.Select(entry => entry.Key).Order());
            var (within, count) = (0, 0);
            foreach (var (key, values) in entries)
            {
                var expected = _golden.Values[key].data<float>().ToArray();
                Assert.Equal(expected.Length, values.Length);
                var isSplit = key.EndsWith("split", StringComparison.Ordinal) || key.EndsWith("av.A_interval", StringComparison.Ordinal);
                foreach (var (wanted, value) in expected.Zip(values))
                {
                    count++;
                    within += isSplit
                        ? value == wanted || value == 2 * wanted || wanted == 2 * value ? 1 : 0
                        : IsWithinOneStep(wanted, value, options.Range) ? 1 : 0;
                }
            }

            Assert.True(within >= 0.9 * count, $"{prefix}: {count - within} of {count} intervals differ by more than a step");
            using var noGradient = torch.no_grad();
            using var logits = _golden.Logits(_golden.Values["test_images"], found.ApplyTo(_golden.Plain));
            var difference = logits - _golden.Values[$"{prefix}.test_logits"];
            var fromFloat = _golden.Values["fp.test_logits"] - _golden.Values[$"{prefix}.test_logits"];
            Assert.True(difference.norm().item<float>() <= fromFloat.norm().item<float>(), $"{prefix}: logits");
        }
    }

    [Fact]
    public void InjectedIntervalsGiveTheLogits()
    {
        AssertInjected(_golden);
    }

    [IntegerFact]
    public void InjectedIntervalsGiveTheLogitsInIntegers()
    {
        var backend = new OneDnnBackend(ExecutionMode.Integer);
        using var golden = new VisionGolden("ptq4vit_vit.safetensors", backend);
        AssertInjected(golden);
        // The two ranges behind GELU are no bytes of one step.
        Assert.All(backend.SimulatedLayers, name => Assert.EndsWith("mlp.c_proj", name, StringComparison.Ordinal));
        Assert.Equal((LinearKinds.All.Count - 1) * golden.Tower.Blocks.Count, backend.IntegerLayers.Count);
    }

    private void AssertInjected(VisionGolden golden)
    {
        using var noGradient = torch.no_grad();
        foreach (var (prefix, bits) in _golden.Cases())
        {
            var plan = Ptq4VitIntervals.Inject(_golden, prefix, bits).ApplyTo(_golden.Plain);
            // One code at a rounding boundary may flip; most logits must agree closely.
            foreach (var set in new[] { "calib", "test" })
            {
                var expected = _golden.Values[$"{prefix}.{set}_logits"];
                using var logits = golden.Logits(_golden.Values[$"{set}_images"], plan);
                using var difference = (logits - expected).abs();
                Assert.InRange(difference.max().item<float>(), 0, 2e-2);
                Assert.InRange(difference.median().item<float>(), 0, 1e-4);
            }
        }
    }

    public void Dispose() => _golden.Dispose();

    // Both are on one list of candidates, of which only the ratios are known here.
    private static bool IsWithinOneStep(float expected, float actual, SearchRange range)
    {
        const double tolerance = 1e-5;
        var ratio = Math.Max(expected, actual) / Math.Min(expected, actual);
        return ratio <= 1 + tolerance || Enumerable.Range(0, range.Count - 1).Any(
            index => Math.Abs((range.Scale(1, index + 1) / range.Scale(1, index)) - ratio) < tolerance);
    }

    private Ptq4VitOptions Options(QuantizationBits bits) => new(bits)
    {
        Temperature = ZeroShotClassifier.LogitScale / _golden.LogitScale,
        BackwardBatch = _golden.BackwardBatch,
    };
}
