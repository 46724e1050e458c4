using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Data;
using RegCache.Lab.Tests.Data.Images;
using RegCache.Lab.Tests.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using RegCache.Lab.Training.ShapesClip;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

[Trait("Category", "Slow")]
public sealed class ClipTaskTests : IDisposable
{
    private static readonly ClipConfig _tiny = ShapesClipArchitecture.Config with
    {
        Vision = new() { Layers = 2, Width = 32, HeadWidth = 16, PatchSize = 16, ImageSize = (64, 64) },
        Text = ShapesClipArchitecture.Config.Text! with { Layers = 1, Width = 32, Heads = 2 },
        EmbedDim = 24,
    };

    private static readonly ClipTrainingConfig _config = new()
    {
        Model = "tiny", Tokenizer = "words", TrainData = "shapes", Epochs = 2, BatchSize = 8, AccumFreq = 2, Lr = 1e-3, Warmup = 2,
        PatchDropout = 0.3, EmaDecay = 0.9, GradClipNorm = 1, SaveEveryNSteps = 3, LogEveryNSteps = 1,
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("clip-task-").FullName;

    [Theory]
    [InlineData(AccumulationKind.CachedFeatures, false)]
    [InlineData(AccumulationKind.Gradients, true)]
    public void GoingOnFromAnyCheckpointGivesTheSameWeights(AccumulationKind accumulation, bool checkpointing)
    {
        var config = _config with { Accumulation = accumulation, GradCheckpointing = checkpointing };
        var whole = Train(config, "whole", stopAfter: null);
        Train(config, "parts", stopAfter: 4);
        var parts = Train(config, "parts", stopAfter: null);
        Assert.Equal(whole, parts);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void SharpnessAwareTrainingGoesOnToTheSameWeights(bool adaptive)
    {
        var config = _config with { SamRho = 0.1, SamAdaptive = adaptive };
        var whole = Train(config, "whole", stopAfter: null);
        Train(config, "parts", stopAfter: 4);
        Assert.Equal(whole, Train(config, "parts", stopAfter: null));
        Assert.NotEqual(whole, Train(_config, "plain", stopAfter: null));
    }

    [Fact]
    public void ATinyRadiusTrainsAsWithout()
    {
        // The second pass must see the same crops and drop the same patches.
        var plain = Train(_config, "plain", stopAfter: null);
        var sharp = Train(_config with { SamRho = 1e-9 }, "sharp", stopAfter: null);
        Assert.InRange(plain.Zip(sharp, (a, b) => Math.Abs(a - b)).Max(), 0, 1e-5);
    }

    [Fact]
    public void CheckpointingChangesNoBit()
    {
        Assert.Equal(
            Train(_config, "plain", stopAfter: null), Train(_config with { GradCheckpointing = true }, "again", stopAfter: null));
    }

    [Fact]
    public void MixedPrecisionStaysCloseAndIsNotTheSame()
    {
        var exact = Train(_config, "exact", stopAfter: null);
        var mixed = Train(_config with { Precision = TrainingPrecision.AmpBf16 }, "mixed", stopAfter: null);
        Assert.NotEqual(exact, mixed);
        Assert.InRange(exact.Zip(mixed, (a, b) => Math.Abs(a - b)).Max(), 0, 0.05);
    }

    [Fact]
    public void RatesMayBeSetOnceAnEpochAsInTrainingsOfClassifiers()
    {
        var config = _config with
        {
            BatchSize = 4, AccumFreq = 1, Epochs = 4, LrScheduler = ScheduleKind.EpochCosine, WarmupEpochs = 1, WarmupLr = 2e-4, MinLr = 1e-4,
        };
        using var model = new ClipModel(_tiny, ClipInitialization.Draw(_tiny, seed: 5));
        using var task = new ClipTask(model, new NoisePairs(8, bad: []), null, new PreprocessOptions(64), ShapesClipArchitecture.Tokenizer, config);
        var expected = new EpochCosineSchedule(1e-3, 1, 4, StepsPerEpoch: 2, 2e-4, 1e-4);
        for (var step = 0; step < task.Steps; step++)
        {
            using var metrics = task.Step(step);
            Assert.Equal(expected.At(step), metrics.LearningRate);
        }
    }

    [Fact]
    public void AnEpochThatIsTooShortIsRefused()
    {
        var message = Assert.Throws<UserException>(() => Train(_config with { AccumFreq = 100 }, "short", stopAfter: null)).Message;
        Assert.Contains("accum_freq", message, StringComparison.Ordinal);
    }

    [Fact]
    public void UnreadablePairsEndTheTrainingOrAreLeftOutAndCounted()
    {
        var config = _config with { Epochs = 1, AccumFreq = 1, BatchSize = 4, SaveEveryNSteps = 0 };
        using var pairs = Pairs(bad: [3, 5]);
        var message = Assert.Throws<UserException>(() => Run(pairs, pairs, config, null)).Message;
        Assert.Contains(".jpg", message, StringComparison.Ordinal);
        Assert.Contains("--skip-bad-images", message, StringComparison.Ordinal);
        var messages = new Messages();
        var unreadable = new UnreadablePairs(messages);
        var metrics = Run(pairs, pairs, config, unreadable);
        Assert.Equal(2, unreadable.Reasons.Count);
        Assert.Equal(2, messages.Texts.Count);
        Assert.Contains("3.jpg", unreadable.Reasons[0], StringComparison.Ordinal);
        Assert.Equal(6, metrics["val/num_samples"]);
        Assert.Equal(metrics, Run(pairs, pairs, config, new(messages)));

        using var none = Pairs(bad: [0, 1, 2, 3, 4, 5, 6, 7]);
        Assert.Contains(
            "None of the 4 pairs of batch 0 can be read", Assert.Throws<UserException>(() => Run(none, null, config, unreadable)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheEvaluationPassesOverABatchOfBadPairs()
    {
        var config = _config with { Epochs = 1, AccumFreq = 1, BatchSize = 4, SaveEveryNSteps = 0 };
        using var good = Pairs(bad: []);
        using var tail = Pairs(bad: [8], count: 9);
        var unreadable = new UnreadablePairs(SilentProgress.Instance);
        Assert.Equal(8, Run(good, tail, config, unreadable)["val/num_samples"]);
        Assert.Contains("8.jpg", Assert.Single(unreadable.Reasons), StringComparison.Ordinal);

        using var none = Pairs(bad: [0, 1, 2, 3, 4], count: 5);
        Assert.Contains(
            "None of the 5 pairs of validation can be read", Assert.Throws<UserException>(() => Run(good, none, config, unreadable)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OnlyPairsOfBatchesThatAreUsedAreNamed()
    {
        var unreadable = new UnreadablePairs(SilentProgress.Instance);
        using var reader = new ClipBatchReader(Maker(new NoisePairs(8, bad: [0, 1, 2, 3, 4]), unreadable), batchSize: 4, seed: 0, SingleProcess.Instance);
        using var first = reader.Read(0);
        reader.Dispose();
        Assert.Equal(4 - first.Count, unreadable.Reasons.Count);
        using var second = reader.Read(1);
        Assert.Equal(5, unreadable.Reasons.Count);
    }

    [Fact]
    public void ImagesAndCaptionsBehindABadPairStayTogether()
    {
        using var mixed = Maker(new NoisePairs(5, bad: [1, 3]), new(SilentProgress.Instance)).Make([0, 1, 2, 3, 4], default, "mixed");
        using var good = Maker(new NoisePairs(5, bad: []), null).Make([0, 2, 4], default, "good");
        GoldenTensors.AssertIdentical(good.Images, mixed.Images);
        GoldenTensors.AssertIdentical(good.TextIds, mixed.TextIds);
        for (var row = 1; row < good.Count; row++)
        {
            Assert.NotEqual(good.Images[0].data<float>().ToArray(), good.Images[row].data<float>().ToArray());
            Assert.NotEqual(good.TextIds[0].data<long>().ToArray(), good.TextIds[row].data<long>().ToArray());
        }
    }

    [Fact]
    public void AMissingDecoderIsNotLeftOut()
    {
        var pairs = new NoisePairs(4, bad: [2]) { Problem = new("The decoder is missing.") { ConcernsAllInput = true } };
        var unreadable = new UnreadablePairs(SilentProgress.Instance);
        Assert.Same(pairs.Problem, Assert.Throws<UserException>(() => Maker(pairs, unreadable).Make([0, 1, 2, 3], default, "batch")));
        Assert.Same(pairs.Problem, Assert.Throws<UserException>(() => Maker(pairs, null).Make([0, 1, 2, 3], default, "batch")));
        Assert.Empty(unreadable.Reasons);
    }

    [Fact]
    public void UnevenMicroBatchesCountByTheirPairs()
    {
        var maker = Maker(new NoisePairs(8, bad: []), null);
        using var model = new ClipModel(_tiny, ClipInitialization.Draw(_tiny, seed: 5));
        foreach (var name in model.Weights.Names)
        {
            model.Weights[name].requires_grad = true;
        }

        using var four = maker.Make([0, 1, 2, 3], default, "four");
        using var two = maker.Make([4, 5], default, "two");
        using var other = maker.Make([6, 7], default, "other");
        var (largeLoss, largeGradients) = Gradients(model, four);
        var (smallLoss, smallGradients) = Gradients(model, two);
        var (otherLoss, _) = Gradients(model, other);
        var (loss, gradients) = Gradients(model, four, two);
        GoldenTensors.AssertClose(((largeLoss * 4) + (smallLoss * 2)) / 6, loss, 1e-6);
        foreach (var ((large, small), both) in largeGradients.Zip(smallGradients).Zip(gradients))
        {
            GoldenTensors.AssertClose(((large * 4) + (small * 2)) / 6, both, 1e-5, 1e-5);
        }

        // Full micro-batches are averaged to the bit.
        var third = 1.0 / 3;
        GoldenTensors.AssertIdentical((smallLoss * third) + (otherLoss * third) + (smallLoss * third), Gradients(model, two, other, two).Loss);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static ClipBatchMaker Maker(IPairSource pairs, UnreadablePairs? unreadable) =>
        new(pairs, new PreprocessOptions(64), ShapesClipArchitecture.Tokenizer, new(), unreadable);

    private static (torch.Tensor Loss, torch.Tensor[] Gradients) Gradients(ClipModel model, params ClipBatch[] batches)
    {
        torch.Tensor[] weights = [.. model.Weights.Names.Select(name => model.Weights[name])];
        foreach (var weight in weights)
        {
            weight.grad = null;
        }

        var loss = new ClipGradients(model, new() { Accumulation = AccumulationKind.Gradients }).Accumulate(batches, CounterRandom.Of(0, 0, 0)).Total;
        return (loss, [.. weights.Select(weight => weight.grad!.clone())]);
    }

    private WebDatasetSource Pairs(int[] bad, int count = 8)
    {
        var image = File.ReadAllBytes(Path.Combine(PillowCases.Folder, "jpeg-420.jpg"));
        var tar = new TarBytes();
        for (var pair = 0; pair < count; pair++)
        {
            tar.Add($"{pair}.jpg", bad.Contains(pair) ? image[..(image.Length / 2)] : image).Add($"{pair}.txt", "a red circle");
        }

        var path = Path.Combine(_folder, $"{bad.Length}-{count}.tar");
        File.WriteAllBytes(path, tar.Ended);
        return new([path]);
    }

    private static IReadOnlyDictionary<string, double> Run(IPairSource train, IPairSource? validation, ClipTrainingConfig config, UnreadablePairs? unreadable)
    {
        using var model = new ClipModel(_tiny, ClipInitialization.Draw(_tiny, seed: 5));
        using var task = new ClipTask(model, train, validation, new PreprocessOptions(64), ShapesClipArchitecture.Tokenizer, config, unreadable);
        return new TrainingLoop(task, config.Loop, checkpoints: null, _ => [], SilentProgress.Instance).Run();
    }

    private float[] Train(ClipTrainingConfig config, string name, int? stopAfter)
    {
        using var model = new ClipModel(_tiny, ClipInitialization.Draw(_tiny, seed: 5));
        using var train = new ShapesImages(ShapesSet.Generate(ShapesSplit.Train, 100));
        using var validation = new ShapesImages(ShapesSet.Generate(ShapesSplit.Retrieval, 20));
        using var task = new ClipTask(model, train, validation, new PreprocessOptions(64), ShapesClipArchitecture.Tokenizer, config);
        using var cancellation = new CancellationTokenSource();
        var seen = 0;
        var loop = new TrainingLoop(
            task,
            config.Loop,
            new(Path.Combine(_folder, name), keep: 2),
            _ => [new Listener(() => { if (++seen == stopAfter) { cancellation.Cancel(); } })],
            SilentProgress.Instance);
        if (stopAfter is null)
        {
            var metrics = loop.Run();
            Assert.InRange(metrics["val/image_to_text_R@10"], 0, 1);
        }
        else
        {
            Assert.Throws<OperationCanceledException>(() => loop.Run(cancellation.Token));
        }

        task.Finish();
        return [.. model.Weights.Names.SelectMany(weight => model.Weights[weight].detach().data<float>().ToArray())];
    }

    /// <summary>Pairs of a noise image and a caption, each its own; the bad ones cannot be read.</summary>
    private sealed class NoisePairs(int count, int[] bad) : IPairSource
    {
        public UserException Problem { get; init; } = new("The image is damaged.");

        public int Count => count;

        public string Fingerprint => "noise";

        public DataInventory Inventory { get; } = new("noise", "pairs", [], []);

        public string Name(int index) => $"pair {index}";

        public DecodedImage Load(int index)
        {
            if (bad.Contains(index))
            {
                throw Problem;
            }

            var pixels = new byte[64 * 64 * 3];
            new Random(index).NextBytes(pixels);
            return DecodedImage.FromPixels(64, 64, PixelLayout.Rgb, pixels);
        }

        public string Caption(int index) => $"a {ShapesVocabulary.Classes[index]}";

        public void Dispose()
        {
        }
    }

    private sealed class Listener(Action heard) : ITrainingLog
    {
        public void Write(long step, IReadOnlyDictionary<string, double> values) => heard();

        public void Dispose()
        {
        }
    }
}
