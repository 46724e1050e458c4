using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Quantization.Storage;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Encoders;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

[Collection(ProcessWide.Name)]
public sealed class CalibrationTests : IDisposable
{
    private const int Images = 6;
    private const int DeleteBlock = 2;

    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny);
    private readonly ZeroShotClassifier _classifier;
    private readonly CalibrationImages _images;
    private readonly torch.Tensor _test;
    private readonly RegisterPrefix _prefix;
    private readonly string _folder = Directory.CreateTempSubdirectory("calibration").FullName;

    public CalibrationTests()
    {
        var draw = new RandomTensors(1);
        _classifier = new(draw.Normal(12, 5));
        _images = new(draw.Normal(Images, 3, 32, 24), "random");
        _test = draw.Normal(3, 3, 32, 24);
        _prefix = Prefix("p", 1);
    }

    public static TheoryData<string> Methods => ["repqvit", "ptq4vit", "ptq4vit-paper", "base", "static"];

    private VisionTower Tower => _model.Vision;

    private EncoderPlan Plain => EncoderPlan.Plain(Tower.Blocks.Count);

    [Theory]
    [MemberData(nameof(Methods))]
    public void EveryMethodRunsAtEveryWidthWithPrefixAndDeletion(string method)
    {
        // The least and the most that quantizing may change the features by, relative to their norm.
        foreach (var (bits, least, most) in new[] { (8, 1e-3f, 0.2f), (4, 0.05f, 0.9f), (2, 0.3f, 1.6f) })
        {
            var plan = new RegCacheSetting(1, 3, DeleteBlock, 2).ApplyTo(Plain, _prefix);
            var quantizer = Make(method, new(bits, bits)).Calibrate(plan);
            using var features = Run(quantizer.ApplyTo(plan));
            Assert.True(features.isfinite().all().item<bool>());
            using var plain = Run(plan);
            using var error = (features - plain).norm() / plain.norm();
            Assert.InRange(error.item<float>(), least, most);
            foreach (var kind in LinearKinds.All)
            {
                var only = quantizer.Only(kind);
                var one = plan.With(1, block => block with { Transform = only });
                using var partial = Run(one);
                using var change = (partial - plain).norm() / plain.norm();
                Assert.InRange(change.item<float>(), float.Epsilon, most);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void CalibrationRepeatsAndSurvivesItsFile(string method)
    {
        var plan = new RegCacheSetting(1, 2, DeleteBlock, 1).ApplyTo(Plain, _prefix);
        var first = (CalibratedQuantizer)Make(method, new(6, 6)).Calibrate(plan);
        var second = (CalibratedQuantizer)Make(method, new(6, 6)).Calibrate(plan);
        var path = Path.Combine(_folder, method);
        CalibrationFile.Save(path, first);
        var loaded = CalibrationFile.Load(path, torch.CPU);
        using var expected = Run(first.ApplyTo(plan));
        using var repeated = Run(second.ApplyTo(plan));
        using var restored = Run(loaded.ApplyTo(plan));
        GoldenTensors.AssertIdentical(expected, repeated);
        GoldenTensors.AssertIdentical(expected, restored);
        Assert.Equal(first.Method, loaded.Method);
    }

    [Fact]
    public void DamagedFilesAreRefused()
    {
        var path = Path.Combine(_folder, "damaged");
        CalibrationFile.Save(path, (CalibratedQuantizer)Make("repqvit", new(4, 4)).Calibrate(Plain));
        var bytes = File.ReadAllBytes($"{path}.safetensors");
        bytes[^1] ^= 1;
        File.WriteAllBytes($"{path}.safetensors", bytes);
        Assert.Contains("calibrate again", Assert.Throws<UserException>(() => CalibrationFile.Load(path, torch.CPU)).Message);
        File.WriteAllText($"{path}.json", "{");
        Assert.Contains("calibrate again", Assert.Throws<UserException>(() => CalibrationFile.Load(path, torch.CPU)).Message);
    }

    [Fact]
    public void StoredCalibrationsAreUsedAgain()
    {
        var inner = new CountingCalibration(Make("repqvit", new(8, 8)));
        var stored = new StoredCalibrator(inner, _folder, Tower, "hash", SilentProgress.Instance);
        var deleted = new RegCacheSetting(1, 0, DeleteBlock, 2).ApplyTo(Plain, null);
        foreach (var plan in new[] { Plain, deleted, Plain, deleted })
        {
            stored.Calibrate(plan);
        }

        Assert.Equal(2, inner.Calls);
        new StoredCalibrator(inner, _folder, Tower, "another model", SilentProgress.Instance).Calibrate(Plain);
        Assert.Equal(3, inner.Calls);
    }

    [Fact]
    public void AForcedRunCalibratesEverySettingOnce()
    {
        var inner = new CountingCalibration(Make("repqvit", new(8, 8)));
        var deleted = new RegCacheSetting(1, 0, DeleteBlock, 2).ApplyTo(Plain, null);
        // Two runs into one folder; each has stages of its own that calibrate the same plans.
        for (var run = 1; run <= 2; run++)
        {
            var remembered = new RememberedCalibrator(inner);
            StoredCalibrator Stage() => new(remembered, _folder, Tower, "hash", SilentProgress.Instance, force: true);
            foreach (var plan in new[] { Plain, deleted, Plain, deleted })
            {
                var quantizer = Stage().Calibrate(plan);
                Assert.Same(quantizer, remembered.Calibrate(quantizer.ApplyTo(plan)));
            }

            Assert.Equal(2 * run, inner.Calls);
        }
    }

    [Theory]
    [InlineData("repqvit")]
    [InlineData("ptq4vit")]
    public void PrefixRowsStayOutsideTheRanges(string method)
    {
        // Rows of the second prefix are huge, but attention never looks at a key that points away from every query.
        var plan = new RegCacheSetting(3, 2, DeleteBlock, 0).ApplyTo(Plain, Prefix("small", 1));
        var huge = new RegCacheSetting(3, 2, DeleteBlock, 0).ApplyTo(Plain, Prefix("huge", 1000));
        var small = ((CalibratedQuantizer)Make(method, new(8, 8)).Calibrate(plan)).Blocks[3].Attention!;
        var large = ((CalibratedQuantizer)Make(method, new(8, 8)).Calibrate(huge)).Blocks[3].Attention!;
        float Largest(ITensorQuantizer grid) => ((UniformQuantizer)grid).Scale.max().item<float>();
        Assert.InRange(Largest(large.Value) / Largest(small.Value), 0.5, 2);
        Assert.InRange(Largest(large.Key) / Largest(small.Key), 0.5, 2);
    }

    [Fact]
    public void RepqVitRedoesOnlyWhatChanged()
    {
        using var calibration = new RepqVitCalibrator(Tower, _images, new(6, 6));
        ValueList<int> blocks = [0, 1, 2];
        var prefixes = blocks.ToDictionary(block => block, block => Prefix($"t{block}", 1));
        var settings = RegisterSearch.Settings(blocks, DeleteBlock, 2, new() { MaxDelete = 2 });
        var plans = settings.Select(setting => setting.ApplyTo(Plain, prefixes[setting.ExtractionBlock])).ToArray();
        var shared = plans.Select(calibration.Calibrate).ToArray();
        Assert.InRange(calibration.BlockCalibrations, 1, (plans.Length * Tower.Blocks.Count * 2 / 3) - 1);
        foreach (var index in new[] { 0, plans.Length / 2, plans.Length - 1 })
        {
            using var alone = new RepqVitCalibrator(Tower, _images, new(6, 6));
            using var expected = Run(alone.Calibrate(plans[index]).ApplyTo(plans[index]));
            using var actual = Run(shared[index].ApplyTo(plans[index]));
            GoldenTensors.AssertIdentical(expected, actual);
        }

        var tree = new PlanTree([.. plans.Select((plan, index) => shared[index].ApplyTo(plan))]);
        Assert.True(tree.BlockForwards < tree.BlockForwardsAlone);
    }

    [Fact]
    public void LayersBeyondTheMemoryAreMadeAgain()
    {
        var plan = Make("repqvit", new(6, 6)).Calibrate(Plain).ApplyTo(Plain);
        using var keeping = new PlanRunner(Tower);
        using var forgetting = new PlanRunner(Tower, 0);
        using var expected = keeping.Run(_test, plan);
        using var actual = forgetting.Run(_test, plan);
        GoldenTensors.AssertIdentical(expected, actual);
    }

    [Fact]
    public void TheSearchDecidesAmongRecalibratedFinalists()
    {
        ValueList<int> blocks = [1, 2];
        var prefixes = blocks.ToDictionary(block => block, block => Prefix($"t{block}", 1));
        var options = new RegCacheOptions { MaxDelete = 2, MaxPrefix = 2, Finalists = 3 };
        var settings = RegisterSearch.Settings(blocks, DeleteBlock, options.MaxPrefix, options);
        using var source = new MemoryImageSource(_test.clone(), [0, 1, 2]);
        var counting = new CountingCalibration(Make("base", new(4, 4)));
        var run = new EvaluationRun("test", 2);
        var grid = RegisterSearch.Run(Tower, _classifier, source, counting, settings, prefixes, options, run);
        Assert.Equal(blocks.Count, counting.Calls);
        var decided = RegisterSearch.RunFinalists(Tower, _classifier, source, counting, grid, prefixes, options, run);
        Assert.Equal(options.Finalists, decided.Finalists!.Count);
        Assert.Equal(blocks.Count + options.Finalists, counting.Calls);
        Assert.Contains(decided.Best(SearchMetric.Accuracy), decided.Finalists);
        var every = RegisterSearch.Run(
            Tower, _classifier, source, Make("repqvit", new(8, 8)), settings, prefixes, options, run);
        Assert.Equal(settings.Count, every.Cells.Count);
    }

    [Fact]
    public void TheReleasedLossLeavesOnlyRoundingNoise()
    {
        using var scope = torch.NewDisposeScope();
        var draw = new RandomTensors(2);
        float LargestGradient(HessianLoss loss)
        {
            var features = draw.Normal(4, 12).requires_grad_();
            var value = new LogitLoss(_classifier, new(new(8, 8)) { Loss = loss }).Of(features);
            Assert.True(value.item<float>() is >= -1e-5f and < 100);
            return torch.autograd.grad([value], [features])[0].abs().max().item<float>();
        }

        Assert.InRange(LargestGradient(HessianLoss.Kl), 0, 1e-5);
        Assert.InRange(LargestGradient(HessianLoss.PseudoLabel), 1e-3, 100);
        // Where the noise is exactly zero the search has nothing to go by, and says so.
        var options = new Ptq4VitOptions(new(8, 8)) { Loss = HessianLoss.Kl, Range = new(0.3, 1.2, 4), Rounds = 1 };
        try
        {
            new Ptq4VitCalibrator(Tower, _classifier, _images, options).Calibrate(Plain);
        }
        catch (UserException exception)
        {
            Assert.Contains("--hessian-loss", exception.Message);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void BlocksThatTheLossDoesNotDependOnAreCalibrated(bool withBiases)
    {
        var weights = RandomModels.Weights(RandomModels.Tiny);
        using (torch.no_grad())
        {
            foreach (var name in weights.Names.Where(name => name.Contains("visual.transformer.resblocks.1.", StringComparison.Ordinal) && !name.Contains(".ln_", StringComparison.Ordinal)))
            {
                if (withBiases || weights[name].Dimensions == 2)
                {
                    weights[name].zero_();
                }
            }
        }

        using var pruned = new ClipModel(RandomModels.Tiny, weights);
        foreach (var options in new[] { new Ptq4VitOptions(new(4, 4)) { Range = new(0.3, 1.2, 8) }, Ptq4VitOptions.BasePtq(new(4, 4)) with { Range = new(0.3, 1.2, 8) } })
        {
            var quantizer = new Ptq4VitCalibrator(pruned.Vision, _classifier, _images, options).Calibrate(Plain);
            using var runner = new PlanRunner(pruned.Vision);
            using var features = runner.Run(_test, quantizer.ApplyTo(Plain));
            Assert.True(features.isfinite().all().item<bool>());
        }
    }

    [Fact]
    public void ALossWithoutAnyGradientIsToldWithWhatHelps()
    {
        using var flat = new ZeroShotClassifier(torch.ones(12, 1));
        var message = Assert.Throws<UserException>(() => new Ptq4VitCalibrator(Tower, flat, _images, new(new(4, 4))).Calibrate(Plain)).Message;

        Assert.Contains("--metric cosine", message, StringComparison.Ordinal);
        Assert.DoesNotContain("--hessian", message, StringComparison.Ordinal);
    }

    [Fact]
    public void StaticRangesCoverTheCalibrationImages()
    {
        var quantizer = new NaiveQuantizer(new(8, 8));
        var found = (CalibratedQuantizer)new StaticRangeCalibrator(Tower, _images, quantizer, 4).Calibrate(Plain);
        var input = (UniformQuantizer)found.Blocks[0].Linears[LinearKind.AttentionIn].Input;
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var normalised = Tower.Blocks[0].AttentionNorm.Apply(Tower.Embed(_images.All).Tokens);
        GoldenTensors.AssertClose(MinMaxRange.Symmetric(normalised, 8, ActivationScope.Batch).Scale.flatten(), input.Scale, 0, 1e-6);
    }

    [Fact]
    public void ImpossibleOptionsAreRefusedByName()
    {
        foreach (var (options, option) in new (Ptq4VitOptions, string)[]
        {
            (new(new(8, 8)) { Rounds = 0 }, "--search-rounds"),
            (new(new(8, 8)) { Range = new(0, 1, 10) }, "--search-range"),
            (new(new(8, 8)) { Temperature = 0 }, "--hessian-temperature"),
            (new(new(8, 8)) { BackwardBatch = 0 }, "--backward-batch"),
        })
        {
            var error = Assert.Throws<UserException>(() => new Ptq4VitCalibrator(Tower, _classifier, _images, options));
            Assert.Contains(option, error.Message);
        }

        using var source = new MemoryImageSource(_test.clone(), [0, 1, 2]);
        Assert.Contains("--calib-size", Assert.Throws<UserException>(() => CalibrationImages.Read(source, 4, Tower)).Message);
    }

    [Fact]
    public void DamagedImagesAreNamed()
    {
        var images = _images.All.clone();
        images[4, 0, 0, 0] = float.NaN;
        using var damaged = new CalibrationImages(images, "damaged");
        using var repq = new RepqVitCalibrator(Tower, damaged, new(8, 8));
        Assert.Contains("image 4", Assert.Throws<UserException>(() => repq.Calibrate(Plain)).Message);
        var ptq = new Ptq4VitCalibrator(Tower, _classifier, damaged, new(new(8, 8)));
        Assert.Contains("image 4", Assert.Throws<UserException>(() => ptq.Calibrate(Plain)).Message);
    }

    public void Dispose()
    {
        _model.Dispose();
        _classifier.Dispose();
        _images.Dispose();
        _test.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private ICalibrator Make(string method, QuantizationBits bits)
    {
        // A short list of candidates keeps the tests quick.
        var options = new Ptq4VitOptions(bits) { Range = new(0.3, 1.2, 12) };
        ICalibrator Search(Ptq4VitOptions chosen) => new Ptq4VitCalibrator(Tower, _classifier, _images, chosen);
        return method switch
        {
            "repqvit" => new RepqVitCalibrator(Tower, _images, bits),
            "ptq4vit" => Search(options),
            "ptq4vit-paper" => Search(options with { SoftmaxTwin = SoftmaxTwin.Paper }),
            "base" => Search(Ptq4VitOptions.BasePtq(bits)),
            _ => new StaticRangeCalibrator(Tower, _images, new(bits), 4),
        };
    }

    private torch.Tensor Run(EncoderPlan plan)
    {
        using var runner = new PlanRunner(Tower);
        return runner.Run(_test, plan);
    }

    private RegisterPrefix Prefix(string id, double size)
    {
        var draw = new RandomTensors(7);
        return new(
            id,
            Enumerable.Range(0, Tower.Blocks.Count).ToDictionary(
                block => block, _ => (draw.Normal(Tower.Config.Width) * 0.1, draw.Normal(Tower.Config.Width) * size)));
    }

    private sealed class CountingCalibration(ICalibrator inner) : ICalibrator
    {
        public int Calls { get; private set; }

        public Recalibration Recalibration => inner.Recalibration;

        public IQuantizer Calibrate(EncoderPlan plan)
        {
            Calls++;
            return inner.Calibrate(plan);
        }

        public override string ToString() => inner.ToString()!;
    }
}
