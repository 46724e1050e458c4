using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Merging;
using RegCache.Lab.Placement;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Registers;
using RegCache.Lab.Tests.Encoders;
using RegCache.Lab.Tests.Quantization.Integer;

namespace RegCache.Lab.Tests.Memory;

[Collection(ProcessWide.Name)]
public sealed class MemoryPropertyTests : IDisposable
{
    private const int Width = 24;

    private static readonly MemoryConfig _memory = new() { Blocks = [1, 3], SubKeys = 4, Heads = 2, Neighbours = 2, KeyWidth = 12, ValueWidth = 10 };

    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly ClipModel _teacher = RandomModels.Create(RandomModels.Tiny);
    private readonly Tensor _images = torch.randn(3, 3, 32, 24, generator: new torch.Generator(5));

    private static readonly string[] _variants = ["plain", "separate", "bare", "gated", "experts", "narrow"];

    public static TheoryData<string> Variants => [.. _variants];

    public static TheoryData<string> Quantizers => ["naive", "static", "ptq4vit", "repqvit"];

    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 1)]
    [InlineData(5, 3)]
    [InlineData(5, 5)]
    public void OneHeadIsASoftmaxOverTheBestOfAllSlots(int subKeys, int neighbours)
    {
        var config = _memory with { Blocks = [0], Heads = 1, SubKeys = subKeys, Neighbours = neighbours, SiluGate = false, ValueWidth = MemoryConfig.TowerWidth };
        var (layer, weights) = Random(config);
        var tokens = torch.randn(2, 7, Width);
        Tensor Of(string name) => weights[MemoryNames.Slot(0) + name];
        var query = torch.nn.functional.linear(tokens, Of("query_proj.query_mlps.0.weight"), Of("query_proj.query_mlps.0.bias"));
        var keys = Of("keys").view(2, subKeys, 6);
        var (first, second) = (query.narrow(-1, 0, 6).matmul(keys[0].t()), query.narrow(-1, 6, 6).matmul(keys[1].t()));
        var scores = (first.unsqueeze(-1) + second.unsqueeze(-2)).flatten(-2);

        // Densely over all slots; those that are not among the best get no weight.
        var least = scores.topk(neighbours).values.narrow(-1, neighbours - 1, 1);
        var dense = torch.where(scores >= least, scores, torch.tensor(float.NegativeInfinity)).softmax(-1);
        GoldenTensors.AssertClose(dense.matmul(Of("values.weight")), layer.Apply(tokens, default), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void WithoutGradientsKeysAndProjectionAreOneMatrixAndTheResultIsTheSame(string variant)
    {
        var config = Variant(variant) with { Blocks = [0], SubKeys = 4, KeyWidth = 12 };
        var (layer, _) = Random(config);
        var tokens = torch.randn(3, 11, Width);
        var (whole, folded) = (new Slots(), new Slots());
        var expected = layer.Apply(tokens, new(whole, 0));
        using (torch.no_grad())
        {
            GoldenTensors.AssertClose(expected, layer.Apply(tokens, new(folded, 0)), 1e-5);
        }

        GoldenTensors.AssertIdentical(whole.Value!, folded.Value!);
    }

    [Fact]
    public void ASlotThatNobodyReadsHasNoGradientAndTheOthersHave()
    {
        var config = _memory with { Blocks = [0], SubKeys = 16 };
        var (layer, weights) = Random(config);
        var table = weights[MemoryNames.Slot(0) + "values.weight"];
        table.requires_grad = true;
        var usage = new SlotUsage(config);
        layer.Apply(torch.randn(1, 9, Width), new(usage, 0)).sum().backward();
        var read = usage.Rows.Select(row => row.Reads > 0).ToArray();
        Assert.Contains(false, read);
        Assert.Equal(read, table.grad!.abs().sum(1).gt(0).data<bool>().ToArray());
        Assert.Equal(9 * config.Reads, usage.Rows.Sum(row => row.Reads));
        Assert.Equal(9 * config.Heads, usage.Rows.Sum(row => row.Weight), 1e-4);
        Assert.Equal(read.Count(isRead => isRead) / 256.0, usage.UsedShare(0));
        Assert.InRange(usage.EffectiveSlots(0), 1, read.Count(isRead => isRead));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ASharedTableGetsTheSumOfItsLayersGradients(bool isExperts)
    {
        var config = _memory with { Experts = isExperts, ValueWidth = isExperts ? MemoryConfig.TowerWidth : 10 };
        using var shared = MemoryStudent.Of(_teacher, config, MemoryStart.Proper, seed: 3);
        string[] tables = [.. shared.Weights.Names.Where(MemoryNames.IsTable)];
        using var separate = new ClipModel(
            shared.Config with { Vision = shared.Config.Vision with { Memory = config with { ShareValues = false } } },
            new WeightTable("separate", shared.Weights.Names.Select(name => KeyValuePair.Create(name, shared.Weights[name].clone()))));
        foreach (var model in new[] { shared, separate })
        {
            MemoryStudent.TrainOnlyMemory(model);
            model.Vision.Encode(_images).square().sum().backward();
        }

        var perLayer = tables.Length / config.Blocks.Count;
        foreach (var name in tables.Take(perLayer))
        {
            var part = name[MemoryNames.Slot(config.Blocks[0]).Length..];
            var sum = config.Blocks.Select(block => separate.Weights[MemoryNames.Slot(block) + part].grad!).Aggregate((a, b) => a + b);
            Assert.True(sum.abs().max().ToDouble() > 0);
            GoldenTensors.AssertClose(sum, shared.Weights[name].grad!, 1e-5, 1e-4);
        }
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void EveryVariantComposesWithPrefixDeletionMergingLateTokensAndQuantizers(string variant)
    {
        using var model = MemoryStudent.Of(_teacher, Variant(variant), MemoryStart.Proper, seed: 3);
        var layers = model.Vision.Blocks.Count;
        var registers = new RegCacheSetting(1, 2, 2, 2).ApplyTo(EncoderPlan.Plain(layers), Prefix(layers));
        var merged = MergingSetting.Lgtm(2, 0, 1).ApplyTo(registers);
        using var rows = torch.randn(2, model.Vision.Config.Width, generator: new torch.Generator(8));
        var late = merged.With(1, block => block with { Before = [new EnterTokens(TokenRole.Register, rows), .. block.Before] });
        foreach (var plan in new[] { EncoderPlan.Plain(layers), registers, merged, late })
        {
            var exact = Run(model, plan);
            Assert.True(exact.isfinite().all().item<bool>());
            var error = (Run(model, ((IQuantizer)new NaiveQuantizer(new(8, 8))).ApplyTo(plan)) - exact).norm() / exact.norm();
            Assert.InRange(error.ToDouble(), 1e-6, 0.3);
        }
    }

    [Theory]
    [MemberData(nameof(Quantizers))]
    public void EveryQuantizerTakesTheLinearLayersOfMemoryBlocks(string method)
    {
        foreach (var variant in new[] { "plain", "experts", "bare" })
        {
            using var model = MemoryStudent.Of(_teacher, Variant(variant), MemoryStart.Proper, seed: 3);
            var plan = EncoderPlan.Plain(model.Vision.Blocks.Count);
            using var images = new CalibrationImages(torch.randn(4, 3, 32, 24, generator: new torch.Generator(6)), "random");
            using var classifier = new ZeroShotClassifier(torch.randn(12, 5));
            var bits = new QuantizationBits(8, 8);
            ICalibrator calibrator = method switch
            {
                "naive" => new NaiveQuantizer(bits),
                "static" => new StaticRangeCalibrator(model.Vision, images, new NaiveQuantizer(bits), 4),
                "ptq4vit" => new Ptq4VitCalibrator(model.Vision, classifier, images, new Ptq4VitOptions(bits)),
                "repqvit" => new RepqVitCalibrator(model.Vision, images, bits),
                _ => throw new ArgumentOutOfRangeException(nameof(method)),
            };
            var quantized = calibrator.Calibrate(plan).ApplyTo(plan);
            var plain = model.Vision.Blocks[1];
            var changed = quantized.Blocks[1].Transform!.Apply(1, plain);
            Assert.NotSame(plain.Linear(LinearKind.MlpIn), changed.Linear(LinearKind.MlpIn));
            Assert.Equal(plain.Mlp.Out is null, changed.Mlp.Out is null);
            Assert.Same(((MemoryLayer)plain.Mlp).Table, ((MemoryLayer)changed.Mlp).Table);

            // Another slot may be read where two score alike, so single tokens may differ more.
            var exact = Run(model, plan);
            var error = (Run(model, quantized) - exact).norm() / exact.norm();
            Assert.InRange(error.ToDouble(), 1e-6, 0.35);
        }
    }

    [IntegerFact]
    public void TheNativeEngineAgreesAndSaysWhatItLeavesToTensorOperators()
    {
        foreach (var variant in _variants)
        {
            using var model = MemoryStudent.Of(_teacher, Variant(variant), MemoryStart.Proper, seed: 3);
            var backend = new OneDnnBackend(ExecutionMode.Simulated);
            using var packed = new ClipModel(
                model.Config, new WeightTable("copy", model.Weights.Names.Select(name => KeyValuePair.Create(name, model.Weights[name].clone()))), backend);
            var plan = EncoderPlan.Plain(model.Vision.Blocks.Count);
            GoldenTensors.AssertClose(Run(model, plan), Run(packed, plan), 1e-4);
            Assert.Contains("memory in block 1, 3 reads its table by tensor operators", backend.Describe(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void HalfPrecisionKeepsKeysAndTableInFloat()
    {
        using var model = MemoryStudent.Of(_teacher, _memory, MemoryStart.Proper, seed: 3);
        using var half = new ClipModel(
            model.Config,
            new WeightTable("copy", model.Weights.Names.Select(name => KeyValuePair.Create(name, model.Weights[name].clone()))).Place(torch.CPU, torch.ScalarType.BFloat16));
        var layer = (MemoryLayer)half.Vision.Blocks[1].Mlp;
        Assert.Equal(torch.ScalarType.Float32, layer.Keys.dtype);
        Assert.Equal(torch.ScalarType.Float32, layer.Table.Tensors[0].dtype);
        Assert.Same(layer.Table, ((MemoryLayer)half.Vision.Blocks[3].Mlp).Table);
        var exact = model.Vision.Encode(_images);
        var error = (half.Vision.Encode(_images.to(torch.ScalarType.BFloat16)).to(torch.ScalarType.Float32) - exact).norm() / exact.norm();
        Assert.InRange(error.ToDouble(), 0, 0.1);
    }

    [Fact]
    public void MultiplyAccumulatesAreCounted()
    {
        var config = _teacher.Config.Vision with { Memory = _memory };
        var table = MacsTable.Of(config, 12, EncoderPlan.Plain(config.Layers));
        var tokens = config.Patches + 1;
        Assert.Equal(2 * tokens * ((24 * (24 + 10 + 10)) + (2 * 4 * 12) + (4 * 10)), table.Of(MacsKind.Memory));
        Assert.Equal(2L * tokens * 2 * 24 * 96, table.Of(MacsKind.Mlp));
    }

    [Fact]
    public void TheReportCountsTheForksStudentOfVitB16()
    {
        var plain = RegCache.Lab.Encoders.Checkpoints.ClipConfigs.Get("ViT-B-16");
        var report = MemoryReport.Of(plain with { Vision = plain.Vision with { Memory = new() { Blocks = MemoryConfig.EverySecondBlock(12) } } });
        Assert.Equal((23_612_160, 3_976_704, 16_384, -19_635_456), (report.Removed, report.Added, report.Table, report.Net));
        Assert.Contains("net -19,635,456", report.ToString(), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _scope.Dispose();
        _teacher.Dispose();
    }

    internal static MemoryConfig Variant(string name) => name switch
    {
        "plain" => _memory,
        "separate" => _memory with { ShareValues = false },
        "bare" => _memory with { SiluGate = false, ValueWidth = MemoryConfig.TowerWidth },
        "gated" => _memory with { ScalarGate = true },
        "experts" => _memory with { Experts = true, ValueWidth = MemoryConfig.TowerWidth, ScalarGate = true },
        "narrow" => _memory with { SiluGate = false, Heads = 1, Neighbours = 1 },
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    private static Tensor Run(ClipModel model, EncoderPlan plan)
    {
        using var runner = new PlanRunner(model.Vision);
        return runner.Run(torch.randn(3, 3, 32, 24, generator: new torch.Generator(5)), plan);
    }

    private static (MemoryLayer Layer, WeightTable Weights) Random(MemoryConfig config)
    {
        var vision = new VisionConfig { Layers = 1, Width = Width, Memory = config };
        return MemoryGolden.Layer(config, Width, config.Parameters(Width, 0).Select(parameter => KeyValuePair.Create(
            parameter.Name, MemoryInitialization.Draw(vision, MemoryNames.Slot(0) + parameter.Name, parameter.Shape, MemoryStart.Proper, seed: 2))));
    }

    private sealed class Slots : IActivationProbe
    {
        public Tensor? Value { get; private set; }

        public bool Wants(int block, ActivationKind kind) => kind == ActivationKind.MemorySlots;

        public void Observe(int block, ActivationKind kind, Tensor value) => Value = value.clone().DetachFromDisposeScope();
    }

    private static RegisterPrefix Prefix(int layers) => new(
        "p", Enumerable.Range(0, layers).ToDictionary(block => block, _ => (torch.randn(Width).DetachFromDisposeScope(), torch.randn(Width).DetachFromDisposeScope())));
}
