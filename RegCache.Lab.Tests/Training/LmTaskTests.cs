using RegCache.Lab.Pooling.Language;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Pooling;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Language;

namespace RegCache.Lab.Tests.Training;

// Dropout draws from the generator that the whole process shares.
[Collection(ProcessWide.Name)]
public sealed class LmTaskTests : IDisposable
{
    private const string Sentence = "the small brown fox jumps over the lazy dog and sleeps ";
    private readonly string _folder = Directory.CreateTempSubdirectory("lm-train-").FullName;
    private readonly TextCorpus _corpus;

    public LmTaskTests()
    {
        File.WriteAllText(Path.Combine(_folder, "text"), string.Concat(Enumerable.Repeat(Sentence, 200)));
        _corpus = TextCorpus.Open(Path.Combine(_folder, "text"));
    }

    public static TheoryData<string> Types => [.. BoundaryTypes.All.Names];

    [Theory]
    [MemberData(nameof(Types))]
    [Trait("Category", "Slow")]
    public void ARepeatedSentenceIsLearned(string type)
    {
        using var task = Task(Config(type) with { MaxStep = 300 });
        var score = new TrainingLoop(task, new() { LogEvery = 50 }, null, _ => [], SilentProgress.Instance).Run();
        Assert.InRange(score["val/bpc"], 0, 0.5);
    }

    [Theory]
    [InlineData("gumbel", "adamw", null)]
    [InlineData("gumbel", "lamb", 0.9)]
    [InlineData("unigram", "adamw", null)]
    public void AnInterruptedTrainingEndsWithTheSameBits(string type, string optimizer, double? average)
    {
        var config = Config(type) with
        {
            MaxStep = 12, Dropout = 0.1, Dropatt = 0.1, BatchChunk = 2, Opt = optimizer, Wd = 0.01, EmaDecay = average, SamRho = average is null ? null : 0.05,
        };
        using var unbroken = Task(config);
        Loop(unbroken, "a").Run();
        using var cancellation = new CancellationTokenSource();
        using (var broken = Task(config))
        {
            Assert.Throws<OperationCanceledException>(() => new TrainingLoop(broken, new() { LogEvery = 1, SaveEvery = 2 }, Checkpoints("b"), _ => [new CancelAfter(7, cancellation)], SilentProgress.Instance)
                .Run(cancellation.Token));
        }

        // What libtorch drew in between must not matter.
        using var disturbance = torch.rand(3);
        using var resumed = Task(config);
        Loop(resumed, "b").Run();
        Assert.All(unbroken.State.Zip(resumed.State), pair => GoldenTensors.AssertIdentical(pair.First.Value, pair.Second.Value, pair.First.Key));
    }

    [Fact]
    public void PartsOfABatchAddUpToTheWhole()
    {
        using var whole = Task(Config("whitespaces") with { MaxStep = 1 });
        using var parts = Task(Config("whitespaces") with { MaxStep = 1, BatchChunk = 4 });
        whole.Prepare(0);
        parts.Prepare(0);
        using var first = whole.Step(0);
        using var second = parts.Step(0);
        Assert.Equal(first.Loss.ToDouble(), second.Loss.ToDouble(), 1e-5);
        Assert.Equal(first.GradientNorm!.ToDouble(), second.GradientNorm!.ToDouble(), 1e-4);
    }

    [Fact]
    public void ATinyRadiusTrainsAsWithoutBecauseBothPassesDrawTheSame()
    {
        var config = Config("gumbel") with { MaxStep = 3, Dropout = 0.1, Dropatt = 0.1 };
        using var plain = Task(config);
        using var sharp = Task(config with { SamRho = 1e-9 });
        Loop(plain, "plain").Run();
        Loop(sharp, "sharp").Run();
        Assert.All(plain.Model.Weights.Names, name => GoldenTensors.AssertClose(plain.Model.Weights[name], sharp.Model.Weights[name], 1e-6));
    }

    [Fact]
    public void AFinishedTrainingHasTheAveragedWeights()
    {
        using var task = Task(Config("none") with { MaxStep = 3, EmaDecay = 0.5 });
        Loop(task, "a").Run();
        var name = task.Model.Weights.Names[0];
        using var average = task.State.Single(pair => pair.Key == $"average.{name}").Value.clone();
        task.Finish();
        GoldenTensors.AssertIdentical(average, task.Model.Weights[name].detach());
    }

    [Fact]
    public void ACheckpointOfAnotherTrainingIsRefused()
    {
        using var first = Task(Config("gumbel") with { MaxStep = 2 });
        Loop(first, "a").Run();
        using var other = Task(Config("gumbel") with { MaxStep = 2, ModelConfig = "[1, (1,), 2]" });
        Assert.Contains("other options", Assert.Throws<UserException>(() => Loop(other, "a").Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ALossThatIsNotFiniteEndsTheTrainingWithOneSentence()
    {
        using var task = Task(Config("none") with { MaxStep = 3 });
        using (torch.no_grad())
        {
            task.Model.Weights["final_cast.bias"].fill_(float.NaN);
        }

        Assert.Contains("at step 1 (batch: chunk", Assert.Throws<UserException>(() => Loop(task, "a").Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Category", "Golden")]
    public void LearningRatesAreUpstreams()
    {
        var golden = new PoolingGolden("lr_schedules");
        for (var index = 0; golden.Has($"dtp.{index}.lr:f64"); index++)
        {
            var settings = golden.Json($"dtp.{index}");
            var schedule = new LmSchedule(settings.GetProperty("lr").GetDouble(), settings.GetProperty("warmup").GetInt64(), settings.GetProperty("max_step").GetInt64(), LegacyFirstStep: true);
            var expected = golden[$"dtp.{index}.lr:f64"].data<double>().ToArray();
            var steps = golden.Has($"dtp.{index}.steps") ? golden[$"dtp.{index}.steps"].data<long>().ToArray() : [.. Enumerable.Range(0, expected.Length).Select(step => (long)step)];
            Assert.All(steps.Zip(expected), pair => Assert.Equal(pair.Second, schedule.At(pair.First), 1e-12));
            Assert.Equal(schedule.Base / schedule.WarmupSteps, (schedule with { LegacyFirstStep = false }).At(0), 1e-12);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static LmTrainingConfig Config(string type) => new()
    {
        Data = "",
        DModel = 48,
        NHead = 2,
        DHead = 24,
        DInner = 96,
        Dropout = 0,
        Dropatt = 0,
        ModelConfig = type == "none" ? "[3, (0,), 0]" : "[1, (1,), 1]",
        BoundariesType = type,
        TgtLen = 48,
        BatchSize = 8,
        Lr = 3e-3,
        WarmupStep = 20,
        EvalTgtLen = 48,
        EvalTotalLen = 48,
        EvalBatchSize = 4,
    };

    private LmTask Task(LmTrainingConfig config) => new(
        config,
        _corpus,
        config.BoundariesType == "unigram" ? new UnigramTrainer(40).Train(_corpus.Vocabulary, _corpus.Train) : null,
        torch.CPU,
        SilentProgress.Instance);

    private TrainingCheckpoints Checkpoints(string name) => new(Path.Combine(_folder, name), keep: 2);

    private TrainingLoop Loop(LmTask task, string name) => new(task, new() { LogEvery = 4, SaveEvery = 3 }, Checkpoints(name), _ => [], SilentProgress.Instance);

    private sealed class CancelAfter(long step, CancellationTokenSource source) : ITrainingLog
    {
        public void Write(long done, IReadOnlyDictionary<string, double> values)
        {
            if (done >= step)
            {
                source.Cancel();
            }
        }

        public void Dispose()
        {
        }
    }
}
