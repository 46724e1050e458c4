using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Placement;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Tests.Placement;

/// <summary>Late tokens together with what the other systems do to the stream.</summary>
[Collection(ProcessWide.Name)]
public sealed class PlacementCompositionTests : IDisposable
{
    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly Tensor _images = torch.randn(4, 3, 16, 24, generator: new torch.Generator(5));

    public static TheoryData<string, BlockKind> QuantizersAndKinds
    {
        get
        {
            var data = new TheoryData<string, BlockKind>();
            foreach (var method in new[] { "naive", "static", "ptq4vit", "repqvit" })
            {
                data.Add(method, BlockKind.Plain);
                data.Add(method, BlockKind.ParallelLayerScale);
            }

            return data;
        }
    }

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(BlockKind.Plain)]
    [InlineData(BlockKind.ParallelLayerScale)]
    public void ATreeOfPlansEqualsOnePlanAtATimeBitForBit(BlockKind kind)
    {
        using var model = DynamicVitTests.Random(DynamicVitTests.Tiny with { Block = kind });
        var plain = EncoderPlan.Plain(4);
        var prefix = Prefix(kind == BlockKind.Plain ? 24 : 48);
        EncoderPlan[] plans =
        [
            plain,
            new RegCacheSetting(2, 2, 2, 3).ApplyTo(plain, prefix),
            MergingSetting.ToMe(3).ApplyTo(plain),
            MergingSetting.ToMe(3).ApplyTo(new RegCacheSetting(1, 2, 3, 2).ApplyTo(plain, prefix)),
            ((IQuantizer)new NaiveQuantizer(new(8, 8))).ApplyTo(plain),
        ];
        using var runner = new PlanRunner(model.Tower);
        var together = new Dictionary<int, Tensor>();
        runner.Run(_images, new PlanTree(plans), (plan, scores) => together[plan] = scores.clone().DetachFromDisposeScope());
        foreach (var (index, plan) in plans.Index())
        {
            using var alone = new PlanRunner(model.Tower);
            GoldenTensors.AssertIdentical(alone.Run(_images, plan), together[index]);
        }

        Assert.Equal(plans.Length, together.Values.Select(scores => scores.sum().item<float>()).Distinct().Count());
    }

    [Fact]
    public void TokensThatEnterAmongMergedOnesKeepSizesAndSources()
    {
        using var model = DynamicVitTests.Random(DynamicVitTests.Tiny);
        var plan = (MergingSetting.ToMe(3) with { TrackSources = true }).ApplyTo(EncoderPlan.Plain(4));
        using var runner = new PlanRunner(model.Tower);
        var stream = runner.Forward(_images, plan);
        Assert.Equal(24 + 3 - 12, stream.Length);
        Assert.Equal(new TokenLayout(1, 2, 4, 6), stream.Layout);
        Assert.True(stream.Sources!.sum(1).eq(1).all().item<bool>());
        Assert.True(stream.Sources!.sum(2, keepdim: true).eq(stream.Sizes!).all().item<bool>());
        Assert.True(stream.Sizes!.narrow(1, 0, 3).eq(1).all().item<bool>());
        Assert.Equal(stream.Length, MacsTable.Of(model.Tower, plan).FinalTokens);
    }

    [Fact]
    public void WindowsAreFoundAfterTokensEntered()
    {
        using var model = DynamicVitTests.Random(DynamicVitTests.Tiny);
        using var runner = new PlanRunner(model.Tower);
        var stream = runner.Forward(_images, MergingSetting.Lgtm(4, 0, 3).ApplyTo(EncoderPlan.Plain(4)));
        Assert.True(stream.Tokens.isfinite().all().item<bool>());
        var patches = stream.Positions!.narrow(1, 3, stream.Length - 3);
        Assert.True(patches.ge(3).all().item<bool>() && patches.lt(27).all().item<bool>());
        Assert.True(stream.Positions!.narrow(1, 0, 3).eq(torch.arange(3)).all().item<bool>());
    }

    [Theory]
    [MemberData(nameof(QuantizersAndKinds))]
    public void EveryQuantizerCalibratesAndRuns(string method, BlockKind kind)
    {
        using var model = DynamicVitTests.Random(DynamicVitTests.Tiny with { Block = kind });
        var plan = EncoderPlan.Plain(4);
        using var images = new CalibrationImages(torch.randn(4, 3, 16, 24, generator: new torch.Generator(6)), "random");
        using var classifier = new ZeroShotClassifier(torch.eye(7));
        var bits = new QuantizationBits(8, 8);
        ICalibrator calibrator = method switch
        {
            "naive" => new NaiveQuantizer(bits),
            "static" => new StaticRangeCalibrator(model.Tower, images, new NaiveQuantizer(bits), 4),
            "ptq4vit" => new Ptq4VitCalibrator(model.Tower, classifier, images, new Ptq4VitOptions(bits)),
            "repqvit" => new RepqVitCalibrator(model.Tower, images, bits),
            _ => throw new ArgumentOutOfRangeException(nameof(method)),
        };
        using var runner = new PlanRunner(model.Tower);
        var exact = runner.Run(_images, plan);
        var error = (runner.Run(_images, calibrator.Calibrate(plan).ApplyTo(plan)) - exact).norm() / exact.norm();
        Assert.InRange(error.ToDouble(), 1e-6, 0.2);
    }

    [Theory]
    [InlineData(BlockKind.Plain, ExecutionMode.Simulated)]
    [InlineData(BlockKind.LayerScale, ExecutionMode.Simulated)]
    [InlineData(BlockKind.Parallel, ExecutionMode.Simulated)]
    [InlineData(BlockKind.ParallelLayerScale, ExecutionMode.Simulated)]
    [InlineData(BlockKind.Plain, ExecutionMode.Integer)]
    [InlineData(BlockKind.Parallel, ExecutionMode.Integer)]
    public void TheNativeEngineAgrees(BlockKind kind, ExecutionMode mode)
    {
        var backend = new OneDnnBackend(mode);
        using var model = DynamicVitTests.Random(DynamicVitTests.Tiny with { Block = kind });
        using var packed = DynamicVitTests.Random(model.Config, backend);
        var plain = EncoderPlan.Plain(4);
        var quantized = ((IQuantizer)new NaiveQuantizer(new(8, 8))).ApplyTo(plain);
        foreach (var plan in new[] { plain, quantized })
        {
            using var runner = new PlanRunner(model.Tower);
            using var native = new PlanRunner(packed.Tower);
            var exact = runner.Run(_images, plan);
            var error = (native.Run(_images, plan) - exact).norm() / exact.norm();
            Assert.InRange(error.ToDouble(), 0, ReferenceEquals(plan, plain) ? 1e-5 : 0.02);
        }
    }

    [Fact]
    public void HalfPrecisionRuns()
    {
        using var model = DynamicVitTests.Random(DynamicVitTests.Tiny with { Block = BlockKind.ParallelLayerScale, QkScale = 0.2 });
        using var half = new DynamicVit(model.Config, DynamicVitTests.Copy(model.Weights).Place(torch.CPU, torch.ScalarType.BFloat16));
        using var noGradient = torch.no_grad();
        var exact = model.Forward(_images).Logits;
        var error = (half.Forward(_images.to(torch.ScalarType.BFloat16)).Logits.to(torch.ScalarType.Float32) - exact).norm() / exact.norm();
        Assert.InRange(error.ToDouble(), 1e-6, 0.1);
    }

    [Fact]
    public void PrefixesFollowTheirTokensAcrossAnEntry()
    {
        using var model = DynamicVitTests.Random(DynamicVitTests.Tiny);
        using var images = new MemoryImageSource(_images, [0, 1, 2, 3]);

        // Patch 5 of image 2 is at place 5 of block 0, at 7 behind two registers, at 8 behind the class token.
        var candidates = new Dictionary<int, ValueList<OutlierToken>> { [0] = [new(1, 2, 5)] };
        using var cache = PrefixAveraging.Run(model.Tower, images, candidates, new("prefix", 4))[0];
        using var noGradient = torch.no_grad();
        foreach (var (block, place) in new[] { (0, 5), (1, 7), (2, 8), (3, 8) })
        {
            var rows = Activations.Of(model.Tower, _images, block, ActivationKind.BlockInput);
            GoldenTensors.AssertClose(rows[2, place], cache.Hidden[block], 1e-5);
        }
    }

    private static RegisterPrefix Prefix(int width) => new("p", Enumerable.Range(0, 4).ToDictionary(block => block, block =>
    {
        using var generator = new torch.Generator((ulong)block);
        return (torch.randn(width, generator: generator).DetachFromDisposeScope(), torch.randn(width, generator: generator).DetachFromDisposeScope());
    }));
}
