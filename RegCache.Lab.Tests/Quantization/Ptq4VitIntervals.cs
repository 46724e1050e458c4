using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

/// <summary>Turns a calibrated PTQ4ViT quantizer into the goldens' named intervals, and back.</summary>
internal static class Ptq4VitIntervals
{
    private const int Groups = 3;

    public static IEnumerable<KeyValuePair<string, float[]>> Of(CalibratedQuantizer quantizer, string prefix)
    {
        KeyValuePair<string, float[]> Entry(string name, params float[] values) => new($"{prefix}.{name}", values);
        float[] Scales(ITensorQuantizer grid) => [.. ((UniformQuantizer)grid).Scale.data<float>()];
        yield return Entry("conv1.w_interval", Scales(quantizer.Patches!.Weight));
        foreach (var (index, block) in quantizer.Blocks.Index())
        {
            foreach (var (kind, linear) in block.Linears)
            {
                var name = $"block{index}.{kind.Name()}";
                var rows = Scales(linear.Weight);
                var groups = kind == LinearKind.AttentionIn ? Groups : 1;
                yield return Entry($"{name}.w_interval", [.. rows.Where((_, row) => row % (rows.Length / groups) == 0)]);
                if (linear.Input is PostGeluQuantizer twin)
                {
                    yield return Entry($"{name}.a_interval", twin.Scale);
                    yield return Entry($"{name}.a_neg_interval", twin.NegativeScale);
                }
                else
                {
                    yield return Entry($"{name}.a_interval", Scales(linear.Input));
                }
            }

            var attention = block.Attention!;
            var split = (SoftmaxTwinQuantizer)attention.Probabilities;
            yield return Entry($"block{index}.attn.qk.A_interval", Scales(attention.Query));
            yield return Entry($"block{index}.attn.qk.B_interval", Scales(attention.Key));
            yield return Entry($"block{index}.attn.av.A_interval", split.FineScale);
            yield return Entry($"block{index}.attn.av.B_interval", Scales(attention.Value));
            yield return Entry($"block{index}.attn.av.split", split.Split);
        }
    }

    public static CalibratedQuantizer Inject(VisionGolden golden, string prefix, QuantizationBits bits)
    {
        float[] Floats(string name) => [.. golden.Values[$"{prefix}.{name}"].data<float>()];
        UniformQuantizer Rows(string name, long rows, int width, params long[] ones)
        {
            var groups = Floats(name);
            return SearchRange.Grid(
                [.. Enumerable.Range(0, (int)rows).Select(row => groups[row * groups.Length / rows])], width, torch.CPU, [rows, .. ones]);
        }

        CalibratedLinear Linear(int block, LinearKind kind)
        {
            var name = $"block{block}.{kind.Name()}";
            var input = Floats($"{name}.a_interval")[0];
            var suffix = kind == LinearKind.AttentionIn ? "_weight" : ".weight";
            return new(
                kind == LinearKind.MlpOut
                    ? new PostGeluQuantizer(input, bits.Activations)
                    : SearchRange.Grid([input], bits.Activations, torch.CPU),
                Rows($"{name}.w_interval", golden.Values[$"{kind.FullName(block)}{suffix}"].shape[0], bits.Weights, 1));
        }

        UniformQuantizer Heads(string name) => Rows(name, Floats(name).Length, bits.Activations, 1, 1);
        return new(
            "golden",
            new(null, Rows("conv1.w_interval", golden.Values["visual.conv1.weight"].shape[0], bits.Weights, 1, 1, 1)),
            [.. golden.Tower.Blocks.Select((_, block) => new CalibratedBlock(
                LinearKinds.All.ToDictionary(kind => kind, kind => Linear(block, kind)),
                new(
                    Heads($"block{block}.attn.qk.A_interval"),
                    Heads($"block{block}.attn.qk.B_interval"),
                    new SoftmaxTwinQuantizer(Floats($"block{block}.attn.av.split")[0], bits.Activations, SoftmaxTwin.Released),
                    Heads($"block{block}.attn.av.B_interval"))))]);
    }
}
