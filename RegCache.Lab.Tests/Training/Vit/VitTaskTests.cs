using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using RegCache.Lab.Training.Vit;
using TorchSharp;

namespace RegCache.Lab.Tests.Training.Vit;

[Trait("Category", "Slow")]
public sealed class VitTaskTests : IDisposable
{
    private static readonly VitTrainingConfig _config = new()
    {
        Dataset = "shapes",
        TrainNumSamples = 120,
        ValNumSamples = 48,
        InputSize = 32,
        PatchSize = 8,
        EmbedDim = 32,
        NumHeads = 2,
        Depth = 3,
        NumReg = 2,
        ClsPos = 2,
        RegPos = 1,
        Epochs = 2,
        BatchSize = 16,
        WarmupEpochs = 1,
        Lr = 0.01,
    };

    private readonly string _path = Directory.CreateTempSubdirectory("vit-").FullName;

    public static TheoryData<string> Variants => [.. AllVariants.Keys];

    private static Dictionary<string, VitTrainingConfig> AllVariants => new()
    {
        ["the main script's recipe"] = _config,
        ["AdamW, three augment, BCE"] = _config with { Opt = "adamw", ThreeAugment = true, BceLoss = true, Smoothing = 0 },
        ["SAM and an average"] = _config with { SamRho = 0.05, ModelEmaDecay = 0.9, ClipGrad = 1 },
        ["adaptive SAM, SGD, pairs"] = _config with { SamRho = 0.5, SamAdaptive = true, Opt = "sgd", MixupMode = MixingMode.Pair },
        ["cosub without mixing"] = _config with { Cosub = true, Mixup = 0, Cutmix = 0, DropPath = 0.3 },
        ["bfloat16, elements, dropout"] = _config with { Precision = TrainingPrecision.AmpBf16, MixupMode = MixingMode.Elem, Drop = 0.1, AttnDrop = 0.1 },
    };

    [Theory]
    [MemberData(nameof(Variants))]
    public void ATrainingThatIsBrokenOffEndsWithTheSameBits(string variant)
    {
        var config = AllVariants[variant];
        var (whole, wholeLog) = Run(config, "whole", stopBefore: null);
        var (_, _) = Run(config, "broken", stopBefore: 6);
        var (resumed, resumedLog) = Run(config, "broken", stopBefore: null);
        Assert.Equal(whole, resumed);
        Assert.Equal(wholeLog, resumedLog);
        Assert.Equal(2, wholeLog.Length);
    }

    [Fact]
    public void TheLogHasUpstreamsFields()
    {
        var (_, log) = Run(_config, "a", stopBefore: null);
        foreach (var (epoch, line) in log.Index())
        {
            var fields = System.Text.Json.JsonDocument.Parse(line).RootElement;
            Assert.Equal(epoch, fields.GetProperty("epoch").GetInt32());
            Assert.Equal(PlacementParameters.Count(_config.Architecture(48)), fields.GetProperty("n_parameters").GetInt64());
            Assert.Equal(
                ["epoch", "train_lr", "train_loss", "test_loss", "test_acc1", "test_acc5", "n_parameters"], fields.EnumerateObject().Select(field => field.Name));
        }
    }

    [Fact]
    public void TheRateOfAnEpochHoldsFromItsFirstStep()
    {
        using var data = VitDatasets.All.Find("shapes").Open(_config, new());
        using var model = DynamicVit.Create(_config.Architecture(48), 0);
        using var task = new VitTask(model, data, _config);
        for (var step = 0; step < task.StepsPerEpoch + 1; step++)
        {
            task.Prepare(step);
            using var metrics = task.Step(step);
            Assert.Equal(step < task.StepsPerEpoch ? 1e-6 : 1e-5 + (0.5 * ((0.01 * 16 / 512) - 1e-5)), metrics.LearningRate, 1e-12);
        }
    }

    [Fact]
    public void BatchesDoNotDependOnTheNumberOfWorkers()
    {
        using var data = VitDatasets.All.Find("shapes").Open(_config, new());
        using var one = new ImageBatches(data.Train, _config.Transform, 16, seed: 3, workers: 1);
        using var two = new ImageBatches(data.Train, _config.Transform, 16, seed: 3, workers: 2);
        for (var number = 0; number < one.PerEpoch + 2; number++)
        {
            using var first = one.Read(number);
            using var second = two.Read(number);
            GoldenTensors.AssertIdentical(first.Images, second.Images);
            GoldenTensors.AssertIdentical(first.Labels, second.Labels);
        }
    }

    [Fact]
    public void AnImageChangesFromEpochToEpoch()
    {
        using var data = VitDatasets.All.Find("shapes").Open(_config with { TrainNumSamples = 40 }, new());
        using var batches = new ImageBatches(data.Train, _config.Transform, data.Train.Count, seed: 3);
        using var first = batches.Read(0);
        using var second = batches.Read(1);
        Assert.Equal(1, batches.PerEpoch);
        Assert.NotEqual(0, (first.Images.sum() - second.Images.sum()).abs().ToDouble());
    }

    [Fact]
    public void AttentionAloneIsTrainedWhereThatIsAsked()
    {
        var (before, after) = Trained(_config with { AttnOnly = true, Epochs = 1, WarmupEpochs = 0 }, null);
        string[] changed = [.. before.Where(pair => !pair.Value.SequenceEqual(after[pair.Key])).Select(pair => pair.Key)];
        Assert.Contains("blocks.0.attn.qkv.weight", changed);
        Assert.Contains("pos_embed", changed);
        Assert.Contains("head.weight", changed);
        Assert.All(changed, name => Assert.True(name.Contains(".attn.", StringComparison.Ordinal) || name is "pos_embed" or "head.weight" or "head.bias", name));
    }

    [Fact]
    public void RegistersAndPositionsDoNotDecay()
    {
        using var model = DynamicVit.Create(_config.Architecture(48), 0);
        model.Weights.Parameters.ToList().ForEach(pair => pair.Value.requires_grad = true);
        var groups = ParameterGroups.Of(model.Weights, 0.05, isDecayed: (name, dimensions) => PlacementParameters.Decays(name, dimensions));
        string[] plain = [.. groups.Where(group => group.WeightDecay == 0).SelectMany(group => group.Parameters).Select(parameter => parameter.Name)];
        Assert.Superset(new HashSet<string> { "pos_embed", "cls_token", "register_tokens", "norm.weight", "head.bias" }, plain.ToHashSet());
        Assert.DoesNotContain("patch_embed.proj.weight", plain);
    }

    [Theory]
    [InlineData("soft")]
    [InlineData("hard")]
    public void ATeacherTeaches(string type)
    {
        using var teacher = DynamicVit.Create(_config.Architecture(48), 9);
        var config = _config with { DistPos = 1, DistillationType = type, Teacher = "x", Epochs = 1, WarmupEpochs = 0 };
        var (before, after) = Trained(config, teacher);
        Assert.NotEqual(before["dist_token"], after["dist_token"]);
        Assert.NotEqual(before["head_dist.weight"], after["head_dist.weight"]);
    }

    [Fact]
    public void ATeacherNeedsAStudentWithADistillationToken()
    {
        using var teacher = DynamicVit.Create(_config.Architecture(48), 9);
        var message = Assert.Throws<UserException>(() => Trained(_config with { DistillationType = "hard", Teacher = "x" }, teacher)).Message;
        Assert.Contains("needs a student with a distillation token", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATeacherOfOtherClassesIsRefusedWithBothNumbers()
    {
        using var teacher = DynamicVit.Create(_config.Architecture(10), 9);
        var message = Assert.Throws<UserException>(() => Trained(_config with { DistPos = 0, DistillationType = "hard", Teacher = "x" }, teacher)).Message;
        Assert.Contains("10 classes", message, StringComparison.Ordinal);
        Assert.Contains("48", message, StringComparison.Ordinal);
    }

    [Fact]
    public void FoldersOfTheTestImagesGetTheTrainingClasses()
    {
        WriteImages("train", "ant", "bee", "cat");
        WriteImages("val", "cat");
        var config = _config with { Dataset = "imagenet", DataPath = _path };
        using (var data = VitDatasets.All.Find("imagenet").Open(config, new()))
        {
            Assert.Equal([2], data.Test.Labels);
            Assert.Equal(["ant", "bee", "cat"], data.Test.ClassNames);
        }

        WriteImages("val", "dog");
        Assert.Contains("dog", Assert.Throws<UserException>(() => VitDatasets.All.Find("imagenet").Open(config, new())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OneCifarIsNotTakenForTheOther()
    {
        ShapesExport.Write(ShapesSet.Generate(ShapesSplit.Train, 40), _path, ShapesFormat.Cifar, SilentProgress.Instance);
        ShapesExport.Write(ShapesSet.Generate(ShapesSplit.Test, 48), _path, ShapesFormat.Cifar, SilentProgress.Instance);
        using (var data = VitDatasets.All.Find("cifar10").Open(_config with { Dataset = "cifar10", DataPath = _path }, new()))
        {
            Assert.Equal((48, 48), (data.Test.Count, data.ClassNames.Count));
        }

        Assert.Contains(
            "choose `dataset` cifar10", Assert.Throws<UserException>(() => VitDatasets.All.Find("cifar100").Open(_config with { DataPath = _path }, new())).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_path, recursive: true);

    private static (Dictionary<string, byte[]> Before, Dictionary<string, byte[]> After) Trained(VitTrainingConfig config, DynamicVit? teacher)
    {
        using var data = VitDatasets.All.Find("shapes").Open(config, new());
        using var model = DynamicVit.Create(config.Architecture(48), config.Seed);
        var before = Bytes(model);
        using var task = new VitTask(model, data, config, teacher);
        new TrainingLoop(task, task.Loop, null, _ => [], SilentProgress.Instance).Run();
        return (before, Bytes(model));
    }

    // The state and the log of a run; the checkpoints lie in a folder of that name.
    private (Dictionary<string, byte[]> State, string[] Log) Run(VitTrainingConfig config, string name, int? stopBefore)
    {
        using var data = VitDatasets.All.Find("shapes").Open(config, new());
        using var model = DynamicVit.Create(config.Architecture(48), config.Seed);
        using var task = new VitTask(model, data, config) { BestFolder = Path.Combine(_path, name, "best") };
        using var cancellation = new CancellationTokenSource();
        var log = Path.Combine(_path, name, "log.txt");
        var loop = new TrainingLoop(
            stopBefore is { } stop ? new Stopped(task, stop, cancellation) : task,
            task.Loop,
            new(Path.Combine(_path, name), keep: 2),
            step => [new EpochLog(log, step, task.StepsPerEpoch, task.TrainedParameters)],
            SilentProgress.Instance);
        if (stopBefore is null)
        {
            loop.Run();
            Assert.True(File.Exists(Path.Combine(_path, name, "best", "model.safetensors")));
        }
        else
        {
            Assert.Throws<OperationCanceledException>(() => loop.Run(cancellation.Token));
        }

        return (task.State.ToDictionary(pair => pair.Key, pair => pair.Value.cpu().contiguous().bytes.ToArray()), File.ReadAllLines(log));
    }

    private static Dictionary<string, byte[]> Bytes(DynamicVit model) =>
        model.Weights.Parameters.ToDictionary(pair => pair.Key, pair => pair.Value.detach().contiguous().bytes.ToArray());

    private void WriteImages(string part, params string[] classes)
    {
        foreach (var name in classes)
        {
            Directory.CreateDirectory(Path.Combine(_path, part, name));
            File.Copy(Path.Combine(Goldens.RepositoryRoot, "RegCache.Lab.Tests", "Data", "Images", "Files", "jpeg-444.jpg"), Path.Combine(_path, part, name, "a.jpg"));
        }
    }

    // The same task, cancelled before a step.
    private sealed class Stopped(VitTask task, long at, CancellationTokenSource cancellation) : ITrainingTask
    {
        public long Steps => task.Steps;

        public string Fingerprint => task.Fingerprint;

        public IEnumerable<KeyValuePair<string, torch.Tensor>> State => task.State;

        public EarlyStoppingState? Stopping => task.Stopping;

        public void Improved(long done) => task.Improved(done);

        public void Prepare(long step)
        {
            if (step == at)
            {
                cancellation.Cancel();
            }

            task.Prepare(step);
        }

        public StepMetrics Step(long step) => task.Step(step);

        public IReadOnlyDictionary<string, double> Evaluate() => task.Evaluate();
    }
}
