using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Reports;
using RegCache.Lab.Training;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

public sealed class TrainingLoopTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("training-").FullName;

    [Fact]
    public void GoingOnGivesTheWeightsOfAnUnbrokenTraining()
    {
        using var unbroken = new CountingTask(20);
        Loop(unbroken, "a").Run();

        using var cancellation = new CancellationTokenSource();
        using (var broken = new CountingTask(20) { AtStep = step => CancelAt(step, 13, cancellation) })
        {
            Assert.Throws<OperationCanceledException>(() => Loop(broken, "b").Run(cancellation.Token));
        }

        using var resumed = new CountingTask(20);
        Loop(resumed, "b").Run();
        Assert.Equal(6, resumed.StepsTaken);
        Assert.Equal(unbroken.Weight.item<float>(), resumed.Weight.item<float>());
        Assert.Equal(Lines("a"), Lines("b"));
    }

    [Fact]
    public void ClearingAFolderThatIsNotThereDoesNothing()
    {
        var folder = Path.Combine(_folder, "fresh", "checkpoints");
        new TrainingCheckpoints(folder, keep: 2).Clear();
        Assert.False(Directory.Exists(folder));
    }

    [Theory]
    [InlineData(2.0625e-5, "2.06e-5")]
    [InlineData(0.0015, "0.0015")]
    [InlineData(86.40625, "86.4063")]
    [InlineData(0, "0")]
    [InlineData(double.NaN, "NaN")]
    public void SmallNumbersKeepTheirDigits(double value, string expected) => Assert.Equal(expected, TrainingLoop.InWords(value));

    [Fact]
    public void ALossThatIsNotANumberNamesStepBatchAndCheckpoint()
    {
        using var task = new CountingTask(20) { NaNAt = 11 };
        var message = Assert.Throws<UserException>(() => Loop(task, "a").Run()).Message;
        Assert.Contains("step 12", message, StringComparison.Ordinal);
        Assert.Contains("batch: pairs of 11", message, StringComparison.Ordinal);
        Assert.Contains("step-000000010.safetensors", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ACheckpointOfAnotherTrainingIsRefused()
    {
        using var first = new CountingTask(10);
        Loop(first, "a").Run();
        using var other = new CountingTask(10) { Fingerprint = "other" };
        Assert.Contains("other options", Assert.Throws<UserException>(() => Loop(other, "a").Run()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ACheckpointThatCannotBeWrittenStopsWithOneSentenceAndKeepsTheOlderOnes()
    {
        using var task = new CountingTask(20)
        {
            AtStep = step =>
            {
                if (step == 12)
                {
                    // A file in the place of the folder is refused to everybody, the superuser included.
                    Directory.Move(Path.Combine(_folder, "a"), Path.Combine(_folder, "kept"));
                    File.WriteAllText(Path.Combine(_folder, "a"), "");
                }
            },
        };
        Assert.Throws<UserException>(() => Loop(task, "a").Run());
        Assert.True(File.Exists(Path.Combine(_folder, "kept", "step-000000010.safetensors")));
    }

    [SmallDiskFact]
    public void AFullDiskStopsWithOneSentenceAndKeepsTheOlderCheckpoints()
    {
        using var disk = SmallDisk.Mount(kilobytes: 64);
        using var task = new CountingTask(20)
        {
            AtStep = step =>
            {
                if (step == 12)
                {
                    Fill(disk["ballast"]);
                }
            },
        };
        var loop = new TrainingLoop(
            task, new() { LogEvery = 1, SaveEvery = 5 }, new(disk["checkpoints"], keep: 2), _ => [], SilentProgress.Instance);
        var message = Assert.Throws<UserException>(() => loop.Run()).Message;
        Assert.Contains("full", message, StringComparison.Ordinal);
        Assert.Equal(
            ["step-000000005.safetensors", "step-000000010.safetensors"],
            Directory.GetFiles(disk["checkpoints"]).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void HalfWrittenLogLinesAndLaterStepsAreDropped()
    {
        var path = Path.Combine(_folder, "log.jsonl");
        File.WriteAllText(path, "{\"step\":5,\"x\":1}\n{\"step\":10,\"x\":2}\n{\"step\":15,\"x\":3}\n{\"step\":1");
        using (var log = new JsonLinesLog(path, lastStep: 10))
        {
            log.Write(11, new Dictionary<string, double> { ["x"] = double.NaN });
        }

        Assert.Equal(["{\"step\":5,\"x\":1}", "{\"step\":10,\"x\":2}", "{\"step\":11,\"x\":\"NaN\"}"], File.ReadAllLines(path));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void Fill(string path)
    {
        try
        {
            using var ballast = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
            while (true)
            {
                ballast.Write(new byte[1024]);
            }
        }
        catch (IOException)
        {
            // That is what it is for.
        }
    }

    private static void CancelAt(long step, long when, CancellationTokenSource source)
    {
        if (step == when)
        {
            source.Cancel();
        }
    }

    private TrainingLoop Loop(CountingTask task, string name) => new(
        task,
        new() { LogEvery = 1, SaveEvery = 5 },
        new(Path.Combine(_folder, name), keep: 2),
        step => [new JsonLinesLog(Path.Combine(_folder, name + ".jsonl"), step)],
        SilentProgress.Instance);

    // Times differ from run to run.
    private string[] Lines(string name) =>
        [.. File.ReadAllLines(Path.Combine(_folder, name + ".jsonl")).Select(line => line.Split(",\"train/samples")[0])];

    /// <summary>Its weight is a running function of the steps that were taken.</summary>
    private sealed class CountingTask(long steps) : ITrainingTask, IDisposable
    {
        public torch.Tensor Weight { get; } = torch.zeros(1);

        public Action<long>? AtStep { get; init; }

        public long NaNAt { get; init; } = -1;

        public int StepsTaken { get; private set; }

        public long Steps => steps;

        public string Fingerprint { get; init; } = "counting";

        public IEnumerable<KeyValuePair<string, torch.Tensor>> State => [new("weight", Weight)];

        public void Prepare(long step)
        {
        }

        public StepMetrics Step(long step)
        {
            AtStep?.Invoke(step);
            StepsTaken++;
            Weight.mul_(1.1).add_(step);
            return new(step == NaNAt ? torch.tensor(float.NaN) : Weight.sum(), 0.1, 1) { Batch = $"pairs of {step}" };
        }

        public IReadOnlyDictionary<string, double> Evaluate() => new Dictionary<string, double> { ["val/w"] = Weight.item<float>() };

        public void Dispose() => Weight.Dispose();
    }
}
