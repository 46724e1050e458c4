using RegCache.Lab.Distributed;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Vit;

namespace RegCache.Lab.Tests.Distributed;

/// <summary>Several processes with a part of a batch each train as one process with all of it; here they are threads.</summary>
[Trait("Category", "Slow")]
public sealed class SharedTrainingTests : IDisposable
{
    private const double Tolerance = 1e-5;
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Names => [.. TinyTrainings.Names];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void ProcessesTrainAsOneDoes(string name)
    {
        var alone = TinyTrainings.Run(name, SingleProcess.Instance);
        foreach (var size in name is "clip" or "vit" ? new[] { 2, 4 } : [4])
        {
            var all = ThreadGroup.Run(size, group => TinyTrainings.Run(name, group));
            Assert.All(all, run => AssertClose(alone.Weights, run.Weights));
            Assert.All(all.Skip(1), run => Assert.Equal(all[0].Weights, run.Weights));
            Assert.All(alone.Metrics, metric => Assert.InRange(all[^1].Metrics[metric.Key], metric.Value - 1e-4, metric.Value + 1e-4));
        }
    }

    [Theory]
    [InlineData("clip", 4, 1)]
    [InlineData("vit", 1, 2)]
    [InlineData("lm", 2, 4)]
    public void ATrainingGoesOnWithAnotherNumberOfProcesses(string name, int before, int after)
    {
        var alone = TinyTrainings.Run(name, SingleProcess.Instance);
        using var cancellation = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => ThreadGroup.Run(before, group =>
        {
            using var training = TinyTrainings.Make(name, group);
            return Loop(training.Task, group, log => log > 8, cancellation.Cancel).Run(cancellation.Token);
        }));
        var resumed = ThreadGroup.Run(after, group =>
        {
            using var training = TinyTrainings.Make(name, group);
            Loop(training.Task, group, _ => false, cancellation.Cancel).Run();
            return TinyTrainings.Weights(training.Task);
        });
        AssertClose(alone.Weights, resumed[^1]);
        Assert.NotEmpty(Directory.GetFiles(_folder.Root, "step-*"));
    }

    [Fact]
    public void RepeatedAugmentationShowsProcessesTheSameImagesUnderDifferentChanges()
    {
        var losses = ThreadGroup.Run(3, group =>
        {
            using var data = VitDatasets.All.Find("shapes").Open(new() { Dataset = "shapes", TrainNumSamples = 500, ValNumSamples = 48, InputSize = 32 }, new());
            using var batches = new ImageBatches(data.Train, new VitTrainingConfig { Dataset = "shapes", InputSize = 32 }.Transform, 12, seed: 3, processes: group, repeats: true);
            using var batch = batches.Read(0);
            Assert.Equal(256 / 3 * 3 / 12, batches.PerEpoch);
            return (Labels: batch.Labels.data<long>().ToArray(), Pixels: batch.Images.data<float>().ToArray());
        });
        Assert.Equal(losses[0].Labels, losses[1].Labels);
        Assert.Equal(losses[0].Labels, losses[2].Labels);
        Assert.NotEqual(losses[0].Pixels, losses[1].Pixels);
        Assert.NotEqual(losses[1].Pixels, losses[2].Pixels);
    }

    [Fact]
    public void SharpnessAwareProcessesStayTogether()
    {
        var all = ThreadGroup.Run(2, group =>
        {
            using var training = TinyTrainings.Vit(group, new() { SamRho = 0.05, Dataset = "shapes" });
            new TrainingLoop(training.Task, new(), null, _ => [], SilentProgress.Instance, group).Run();
            return TinyTrainings.Weights(training.Task);
        });
        Assert.Equal(all[0], all[1]);
    }

    [Fact]
    public void ASlowProcessIsNamed()
    {
        var messages = new Messages();
        var log = new Log(_ => false, static () => { });
        ThreadGroup.Run(3, group =>
        {
            using var task = new SlowTask(group.Rank == 1 ? 30 : 3, group);
            new TrainingLoop(task, new() { LogEvery = 2 }, null, _ => [log], group.Rank == 0 ? messages : SilentProgress.Instance, group).Run();
            return 0;
        });
        Assert.Contains("Process 1 on machine 1 is slow", Assert.Single(messages.Texts), StringComparison.Ordinal);
        Assert.Equal(1, log.Last["train/slowest_process"]);
        Assert.InRange(log.Last["train/compute_time_slowest"], 0.02, 1);
    }

    [Fact]
    public void ABatchThatProcessesCannotShareIsRefused()
    {
        Assert.Contains("3 processes", Assert.Throws<UserException>(() => ThreadGroup.Run(3, group => TinyTrainings.Run("lm", group))).Message, StringComparison.Ordinal);
        Assert.Contains("divides 16", Assert.Throws<UserException>(() => ThreadGroup.Run(3, group => TinyTrainings.Run("shapes-clip", group))).Message, StringComparison.Ordinal);
    }

    private static void AssertClose(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual)
    {
        var (size, name) = TinyTrainings.Difference(expected, actual);
        Assert.True(size <= Tolerance, $"{name} differs by {size}");
    }

    private TrainingLoop Loop(ITrainingTask task, IProcessGroup group, Func<long, bool> stops, Action stop) => new(
        task, new() { LogEvery = 1 }, new(_folder.Root, keep: 2), _ => [new Log(stops, stop)], SilentProgress.Instance, group);

    private sealed class Log(Func<long, bool> stops, Action stop) : ITrainingLog
    {
        public IReadOnlyDictionary<string, double> Last { get; private set; } = new Dictionary<string, double>();

        public void Write(long step, IReadOnlyDictionary<string, double> values)
        {
            Last = values.Count > 0 ? values : Last;
            if (stops(step))
            {
                stop();
            }
        }

        public void Dispose()
        {
        }
    }

    /// <summary>Sleeps, then meets the others.</summary>
    private sealed class SlowTask(int milliseconds, IProcessGroup group) : ITrainingTask, IDisposable
    {
        private readonly Tensor _weight = torch.zeros(1);

        public long Steps => 8;

        public string Fingerprint => "slow";

        public IEnumerable<KeyValuePair<string, Tensor>> State => [new("weight", _weight)];

        public void Prepare(long step)
        {
        }

        public StepMetrics Step(long step)
        {
            Thread.Sleep(milliseconds);
            group.Barrier();
            return new(torch.zeros([]), 0, 1);
        }

        public IReadOnlyDictionary<string, double> Evaluate() => new Dictionary<string, double>();

        public void Dispose() => _weight.Dispose();
    }
}
