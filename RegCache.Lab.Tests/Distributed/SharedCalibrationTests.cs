using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Quantization.Storage;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Distributed;

/// <summary>Several processes that share a calibration find what one finds, to the bit; here they are threads.</summary>
public sealed class SharedCalibrationTests : IDisposable
{
    private const int Images = 9, BatchSize = 2;

    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny);
    private readonly ZeroShotClassifier _classifier;
    private readonly Tensor _pixels;
    private readonly EncoderPlan _plan;
    private readonly TemporaryFolder _folder = new();

    public SharedCalibrationTests()
    {
        var draw = new RandomTensors(1);
        _classifier = new(draw.Normal(12, 5));
        _pixels = draw.Normal(Images, 3, 32, 24);
        var prefix = new RegisterPrefix(
            "p", Enumerable.Range(0, Blocks).ToDictionary(block => block, _ => (draw.Normal(Tower.Config.Width) * 0.1, draw.Normal(Tower.Config.Width))));
        _plan = new RegCacheSetting(1, 2, 2, 1).ApplyTo(EncoderPlan.Plain(Blocks), prefix);

        // Nothing leaves the attention of this block, so the loss depends on none of its layers but the last.
        Tower.Blocks[2].AttentionOut.Weight.zero_();
    }

    private VisionTower Tower => _model.Vision;

    private int Blocks => Tower.Blocks.Count;

    public void Dispose()
    {
        _classifier.Dispose();
        _pixels.Dispose();
        _model.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("hessian")]
    [InlineData("hessian, paper's split")]
    [InlineData("cosine")]
    public void EachProcessSearchesItsShareOfTheBlocks(string search)
    {
        var options = new Ptq4VitOptions(new(6, 6)) { Range = new(0.3, 1.2, 12) };
        options = search switch
        {
            "hessian" => options,
            "cosine" => options with { Metric = OutputMetric.Cosine, PatchesPerChannel = false },
            _ => options with { SoftmaxTwin = SoftmaxTwin.Paper },
        };
        (byte[] Found, Heard Heard) Run(IProcessGroup group)
        {
            var heard = new Heard();
            using var images = Calibration(group, heard);
            return (Bytes(new Ptq4VitCalibrator(Tower, _classifier, images, options).Calibrate(_plan), group), heard);
        }

        var alone = Run(SingleProcess.Instance);
        Assert.Equal(search == "cosine" ? 0 : 3, alone.Heard.Messages.Count);
        foreach (var (size, layers) in new (int, long[])[] { (1, [5]), (2, [2, 3]), (3, [2, 1, 2]), (5, [1, 1, 1, 1, 1]) })
        {
            var shared = size == 1 ? [alone] : ThreadGroup.Run(size, Run);
            Assert.All(shared, process => Assert.Equal(alone.Found, process.Found));

            // Four blocks, and the patch embedding.
            Assert.Equal(layers, shared.Select(process => process.Heard.Done));
            Assert.Equal(layers, shared.Select(process => process.Heard.Total));
            Assert.Equal(alone.Heard.Messages.Order(), shared[0].Heard.Messages.Order());
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    public void EachProcessLooksAtItsShareOfTheBatchesForStaticRanges(int size)
    {
        (byte[] Found, int Batches) Run(IProcessGroup group)
        {
            var counter = new Counter();
            using var images = Calibration(group, SilentProgress.Instance);
            var calibrator = new StaticRangeCalibrator(Tower, images, new(new(6, 6)) { AsymmetricActivations = true }, BatchSize);
            return (Bytes(calibrator.Calibrate(_plan.With(0, block => block with { Before = [counter] })), group), counter.Count);
        }

        var alone = Run(SingleProcess.Instance);
        Assert.Equal(5, alone.Batches);
        var shared = ThreadGroup.Run(size, Run);
        Assert.All(shared, process => Assert.Equal(alone.Found, process.Found));
        Assert.Equal(Enumerable.Range(0, size).Select(rank => (5 - rank + size - 1) / size), shared.Select(process => process.Batches));
    }

    [Fact]
    public void AllUseTheFileThatTheFirstProcessHasOrNone()
    {
        // Every process has a folder of its own, and all but the first find it empty.
        (byte[] Found, int Calls) Run(IProcessGroup group)
        {
            using var images = Calibration(group, SilentProgress.Instance);
            using var inner = new RepqVitCalibrator(Tower, images, new(6, 6));
            var stored = new StoredCalibrator(inner, _folder[$"{group.Rank}"], Tower, "hash", SilentProgress.Instance, processes: group);
            return (Bytes(stored.Calibrate(_plan), group), (int)inner.BlockCalibrations);
        }

        var before = ThreadGroup.Run(3, Run);
        Assert.All(before, process => Assert.Equal(Blocks, process.Calls));
        Assert.True(Directory.Exists(_folder["0"]));
        Assert.False(Directory.Exists(_folder["1"]) || Directory.Exists(_folder["2"]));

        var after = ThreadGroup.Run(3, Run);
        Assert.All(after, process => Assert.Equal(0, process.Calls));
        Assert.All(before.Concat(after), process => Assert.Equal(before[0].Found, process.Found));

        // Where the first one's file is damaged all calibrate again.
        var file = Directory.GetFiles(_folder["0"], "*.safetensors").Single();
        File.WriteAllBytes(file, File.ReadAllBytes(file)[..^1]);
        Assert.All(ThreadGroup.Run(3, Run), process => Assert.Equal(Blocks, process.Calls));
    }

    private CalibrationImages Calibration(IProcessGroup group, IWorkProgress progress) =>
        new(_pixels.clone(), "random") { Progress = progress, Processes = group };

    // Everything that is kept of a calibration.
    private byte[] Bytes(IQuantizer found, IProcessGroup group)
    {
        var path = _folder[$"calibration {group.Rank} of {group.Size}"];
        CalibrationFile.Save(path, (CalibratedQuantizer)found);
        return [.. File.ReadAllBytes($"{path}.safetensors"), .. File.ReadAllBytes($"{path}.json")];
    }

    private sealed class Heard : IWorkProgress, IProgressHandle
    {
        public long Total { get; private set; }

        public long Done { get; private set; }

        public List<string> Messages { get; } = [];

        public IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0)
        {
            Total = total;
            return this;
        }

        public void Message(string text) => Messages.Add(text);

        public void Report(long done) => Done = done;

        public void Dispose()
        {
        }
    }

    private sealed class Counter : ITokenStage
    {
        public int Count { get; private set; }

        public TokenBatch Apply(TokenBatch batch, StageContext context)
        {
            Count++;
            return batch;
        }
    }
}
