using RegCache.Lab.Encoders;
using RegCache.Lab.Memory;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Tests.Memory;

[Trait("Category", "Golden")]
public sealed class MemoryLayerGoldenTests
{
    private const string Tensors = "memory_layer.safetensors";
    private const string Cases = "memory_layer_cases.json";

    public static TheoryData<string> Variants =>
        [.. MemoryGolden.Read(Cases).EnumerateObject().Select(entry => entry.Name).Where(name => name != "fork_init")];

    [Theory]
    [MemberData(nameof(Variants))]
    public void OutputSlotsAndGradientsOfEveryVariant(string variant)
    {
        var golden = GoldenTensors.Load(MemoryGolden.Area, Tensors);
        var (layer, weights) = Layer(golden, variant);
        foreach (var (_, tensor) in weights.Parameters)
        {
            tensor.requires_grad = true;
        }

        var input = golden[$"{variant}.input"].requires_grad_();
        var probe = new Seen();
        using var output = layer.Apply(input, new(probe, 0));
        GoldenTensors.AssertClose(golden[$"{variant}.output"], output.detach(), 1e-5);
        Assert.Equal(golden[$"{variant}.indices"].data<long>().ToArray(), probe.Values[ActivationKind.MemorySlots].data<long>().ToArray());
        GoldenTensors.AssertClose(
            golden[$"{variant}.scores"].softmax(-1), probe.Values[ActivationKind.MemoryWeights].view(golden[$"{variant}.scores"].shape), 1e-5);

        output.backward([golden[$"{variant}.cotangent"]]);
        GoldenTensors.AssertClose(golden[$"{variant}.grad.input"], input.grad!, 1e-4);
        foreach (var name in weights.Names)
        {
            GoldenTensors.AssertClose(golden[$"{variant}.grad.{name[(name.IndexOf("mlp.", StringComparison.Ordinal) + 4)..]}"], weights[name].grad!, 1e-4);
        }
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void NamesAndShapesInTheForksOrder(string variant)
    {
        var json = MemoryGolden.Read(Cases).GetProperty(variant);
        var config = MemoryGolden.Config(json.GetProperty("config"), [0]);
        Assert.Equal(
            json.GetProperty("state_dict").EnumerateObject().Select(entry => (entry.Name, string.Join(',', entry.Value.EnumerateArray()))),
            config.Parameters(Width(json), 0).Select(parameter => (parameter.Name, string.Join(',', parameter.Shape))));
    }

    [Fact]
    public void ATableInBfloat16IsSummedInFloat()
    {
        var golden = GoldenTensors.Load(MemoryGolden.Area, Tensors);
        golden["fork_default.param.values.weight"] = golden["bf16_values.values"];
        using var output = Layer(golden, "fork_default").Layer.Apply(golden["fork_default.input"], default);
        GoldenTensors.AssertClose(golden["bf16_values.output"], output, 2e-2);
    }

    [Fact]
    public void TheForksInitialValuesHaveItsSpread()
    {
        var json = MemoryGolden.Read(Cases).GetProperty("fork_init");
        var config = MemoryGolden.Config(json.GetProperty("config"), [0]);
        var vision = new VisionConfig { Layers = 1, Width = Width(json), Memory = config };
        var elements = 0L;
        foreach (var (name, shape) in config.Parameters(vision.Width, 0))
        {
            using var tensor = MemoryInitialization.Draw(vision, MemoryNames.Slot(0) + name, shape, MemoryStart.Fork, seed: 1);
            var expected = json.GetProperty("std").GetProperty(name).GetDouble();
            Assert.InRange(tensor.std().ToDouble(), expected * (1 - (5 / Math.Sqrt(tensor.numel()))), expected * (1 + (5 / Math.Sqrt(tensor.numel()))));
            elements += tensor.numel();
        }

        Assert.Equal(json.GetProperty("n_params").GetInt64(), elements);
        Assert.Equal(json.GetProperty("n_values").GetInt64(), config.Slots * config.Values(vision.Width));
    }

    private static int Width(System.Text.Json.JsonElement json) => json.GetProperty("config").GetProperty("input_dim").GetInt32();

    private static (MemoryLayer Layer, WeightTable Weights) Layer(Dictionary<string, Tensor> golden, string variant)
    {
        var json = MemoryGolden.Read(Cases).GetProperty(variant);
        var prefix = $"{variant}.param.";
        return MemoryGolden.Layer(
            MemoryGolden.Config(json.GetProperty("config"), [0]),
            Width(json),
            golden.Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal)).Select(pair => KeyValuePair.Create(pair.Key[prefix.Length..], pair.Value)));
    }

    private sealed class Seen : IActivationProbe
    {
        public Dictionary<ActivationKind, Tensor> Values { get; } = [];

        public bool Wants(int block, ActivationKind kind) => kind is ActivationKind.MemorySlots or ActivationKind.MemoryWeights;

        public void Observe(int block, ActivationKind kind, Tensor value) => Values[kind] = value.detach().clone().DetachFromDisposeScope();
    }
}
