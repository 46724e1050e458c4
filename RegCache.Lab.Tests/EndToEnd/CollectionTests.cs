using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Encoders;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using RegCache.Lab.Training.ShapesClip;
using TorchSharp;

namespace RegCache.Lab.Tests.EndToEnd;

/// <summary>
/// Garbage collections at any moment change no number (docs/architecture.md, "Tensor lifetimes"). REGCACHE_STRESS_SECONDS sets how long each of
/// the four stress tests collects; without it, 8 seconds.
/// </summary>
[Collection(ProcessWide.Name)]
public sealed class CollectionTests
{
    private const int Blocks = 4;

    private static readonly QuantizationBits _bits = new(6, 6);

    [Fact]
    public void MethodsOfTorchSharpKeepTheirArguments()
    {
        var add = typeof(Tensor).GetMethod(nameof(Tensor.add), [typeof(Tensor), typeof(Scalar)])!;
        Assert.True(
            add.MethodImplementationFlags.HasFlag(MethodImplAttributes.NoOptimization),
            "This TorchSharp.dll is not the copy that the build makes (KeepTorchSharpArguments in Directory.Build.targets).");
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void OperatorsComputeTheSameDuringCollections() => AssertSame(() =>
    {
        var sums = new float[4];
        Parallel.For(0, sums.Length, thread =>
        {
            for (var call = 0; call < 500; call++)
            {
                using var scope = torch.NewDisposeScope();
                var x = torch.arange(thread, thread + 4, dtype: torch.float32);
                sums[thread] += ((x.masked_fill(x.eq(2), 5) * 3.0) + x.clamp(1, 3)).sum().item<float>();
            }
        });
        return sums;
    });

    [Fact]
    [Trait("Category", "Slow")]
    public void SearchesFindTheSameDuringCollections()
    {
        using var experiment = new SmallExperiment();
        var options = new RegCacheOptions { MaxPrefix = 1, MaxDelete = 1, SearchMetric = SearchMetric.Mse };
        var settings = RegisterSearch.Settings([1], 2, options.MaxPrefix, options);
        var prefixes = new Dictionary<int, RegisterPrefix> { [1] = experiment.Prefix };
        AssertSame<GridCell>(() =>
        {
            using var repqVit = new RepqVitCalibrator(experiment.Tower, experiment.Calibration, _bits);
            ICalibrator[] calibrations =
            [
                new NaiveQuantizer(_bits), repqVit, new Ptq4VitCalibrator(experiment.Tower, experiment.Classifier, experiment.Calibration, new(_bits)),
            ];
            return
            [
                .. calibrations.SelectMany(calibration => RegisterSearch.Run(
                    experiment.Tower, experiment.Classifier, experiment.Images, calibration, settings, prefixes, options, new("search", 3)).Cells),
            ];
        });
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void EvaluationsScoreTheSameDuringCollections()
    {
        using var experiment = new SmallExperiment();
        var plain = EncoderPlan.Plain(Blocks);
        EncoderPlan[] plans =
        [
            plain,
            MergingSetting.ToMe(2).ApplyTo(plain),
            new MergingSetting(MergingMethods.RandomMerging, MergeSchedule.Constant(2)).ApplyTo(plain),
            new MergingSetting(MergingMethods.AttentionPruning, MergeSchedule.Constant(2)).ApplyTo(plain),
            new RegCacheSetting(1, 1, 2, 1).ApplyTo(EncoderPlan.Uniform(Blocks, new NaiveQuantizer(_bits)), experiment.Prefix),
        ];
        AssertSame<PlanScore>(() => [.. PlanEvaluation.Run(experiment.Tower, experiment.Classifier, experiment.Images, new(plans), new("scores", 3), reference: 0)]);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void TrainingsEndAtTheSameWeightsDuringCollections()
    {
        var architecture = ShapesClipArchitecture.Config with
        {
            Vision = new() { Layers = 2, Width = 32, HeadWidth = 16, PatchSize = 16, ImageSize = (64, 64) },
            Text = ShapesClipArchitecture.Config.Text! with { Layers = 1, Width = 32, Heads = 2 },
            EmbedDim = 24,
        };
        var config = new ClipTrainingConfig
        {
            Model = "tiny", Tokenizer = "words", TrainData = "shapes", Epochs = 2, BatchSize = 4, AccumFreq = 2, Lr = 1e-3, Warmup = 2,
            PatchDropout = 0.3, EmaDecay = 0.9, GradClipNorm = 1, LogEveryNSteps = 1, SamRho = 0.1, SamAdaptive = true,
        };
        AssertSame<double>(() =>
        {
            using var model = new ClipModel(architecture, ClipInitialization.Draw(architecture, seed: 5));
            using var train = new ShapesImages(ShapesSet.Generate(ShapesSplit.Train, 16));
            using var validation = new ShapesImages(ShapesSet.Generate(ShapesSplit.Retrieval, 4));
            using var task = new ClipTask(model, train, validation, new PreprocessOptions(64), ShapesClipArchitecture.Tokenizer, config);
            var metrics = new TrainingLoop(task, config.Loop, checkpoints: null, _ => [], SilentProgress.Instance).Run();
            return
            [
                .. metrics.Values,
                .. model.Weights.Names.SelectMany(weight => model.Weights[weight].detach().data<float>().ToArray()).Select(value => (double)value),
            ];
        });
    }

    /// <summary>Computes in peace, then again and again while another thread collects.</summary>
    private static void AssertSame<T>(Func<T[]> compute)
    {
        var seconds = double.Parse(Environment.GetEnvironmentVariable("REGCACHE_STRESS_SECONDS") ?? "8", CultureInfo.InvariantCulture);
        var expected = compute();
        using var finished = new CancellationTokenSource();
        var collector = new Thread(() =>
        {
            while (!finished.IsCancellationRequested)
            {
                GC.Collect(0);
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            var clock = Stopwatch.StartNew();
            do
            {
                Assert.Equal(expected, compute());
            }
            while (clock.Elapsed.TotalSeconds < seconds);
        }
        finally
        {
            finished.Cancel();
            collector.Join();
        }
    }

    /// <summary>A small random model and what is measured on it.</summary>
    private sealed class SmallExperiment : IDisposable
    {
        private readonly DisposeScope _scope = torch.NewDisposeScope();
        private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny);

        public SmallExperiment()
        {
            Prefix = new("p", Enumerable.Range(0, Blocks).ToDictionary(block => block, _ => (torch.randn(24), torch.randn(24))));
            Classifier = new(ZeroShotClassifier.Normalize(torch.randn(5, 12)).t().contiguous());
            Images = new(torch.randn(6, 3, 32, 24), [0, 1, 2, 3, 4, 0]);
            Calibration = new(torch.randn(2, 3, 32, 24), "random");
        }

        public VisionTower Tower => _model.Vision;

        public RegisterPrefix Prefix { get; }

        public ZeroShotClassifier Classifier { get; }

        public MemoryImageSource Images { get; }

        public CalibrationImages Calibration { get; }

        public void Dispose()
        {
            Images.Dispose();
            Calibration.Dispose();
            Classifier.Dispose();
            _model.Dispose();
            _scope.Dispose();
        }
    }
}
