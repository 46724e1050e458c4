using RegCache.Lab.Data;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Memory;
using RegCache.Lab.Placement;
using RegCache.Lab.Pooling.Language;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using RegCache.Lab.Training.Language;
using RegCache.Lab.Training.ShapesClip;
using RegCache.Lab.Training.Vit;

namespace RegCache.Lab.Tests.Distributed;

/// <summary>A training of each kind, small enough for seconds: the same global batch for any number of processes.</summary>
internal static class TinyTrainings
{
    private const int GlobalBatch = 16;
    private const int Images = 64;

    private static readonly ClipConfig _clip = ShapesClipArchitecture.Config with
    {
        Vision = new() { Layers = 2, Width = 32, HeadWidth = 16, PatchSize = 16, ImageSize = (64, 64) },
        Text = ShapesClipArchitecture.Config.Text! with { Layers = 1, Width = 32, Heads = 2 },
        EmbedDim = 24,
    };

    private static readonly ClipConfig _resNet = _clip with
    {
        Vision = new() { Stages = [1, 1, 1, 1], Layers = 0, Width = 8, ImageSize = (64, 64) },
    };

    private static readonly Dictionary<string, Func<IProcessGroup, Training>> _all = new()
    {
        ["clip"] = processes => Clip(_clip, processes, config => config with { PatchDropout = 0.3, EmaDecay = 0.9, GradClipNorm = 1 }),
        ["clip, features of two micro-batches"] = processes => Clip(_clip, processes, config => config with { AccumFreq = 2, Epochs = 10, PatchDropout = 0.3 }),
        ["clip, gradients of two micro-batches"] = processes => Clip(
            _clip, processes, config => config with { AccumFreq = 2, Epochs = 10, Accumulation = AccumulationKind.Gradients, GradCheckpointing = true }),
        ["clip, ResNet"] = processes => Clip(_resNet, processes, config => config with { Lr = 1e-4 }),
        ["finetune"] = Finetune,
        ["distill"] = Distill,
        ["vit"] = processes => Vit(processes, new() { Dataset = "" }),
        ["lm"] = processes => Lm(processes, "whitespaces"),
        ["lm, drawn boundaries"] = processes => Lm(processes, "gumbel"),
        ["shapes-clip"] = Shapes,
    };

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names => [.. _all.Keys];

    /// <summary>Trains to the end.</summary>
    /// <param name="name">Which training.</param>
    /// <param name="processes">Who trains.</param>
    /// <returns>The weights, and the last evaluation.</returns>
    public static (Dictionary<string, float[]> Weights, IReadOnlyDictionary<string, double> Metrics) Run(string name, IProcessGroup processes)
    {
        using var training = _all[name](processes);
        var metrics = new TrainingLoop(training.Task, new(), null, _ => [], SilentProgress.Instance, processes).Run();
        return (Weights(training.Task), metrics);
    }

    /// <summary>Makes a training, for tests that run it themselves.</summary>
    public static Training Make(string name, IProcessGroup processes) => _all[name](processes);

    /// <summary>The weights of a training by name.</summary>
    public static Dictionary<string, float[]> Weights(ITrainingTask task) => task.State
        .Where(pair => pair.Key.StartsWith("model.", StringComparison.Ordinal))
        .ToDictionary(pair => pair.Key, pair => pair.Value.detach().to(torch.ScalarType.Float32).data<float>().ToArray());

    /// <summary>The largest difference of two trainings' weights, and where it is.</summary>
    /// <remarks>
    /// Running statistics are measured against the largest of them. Keys' biases are left out: they add the same to all logits of a query, so their
    /// gradients are rounding alone, of which Adam makes steps as large as any.
    /// </remarks>
    public static (double Size, string Name) Difference(Dictionary<string, float[]> first, Dictionary<string, float[]> second) => first
        .Select(pair =>
        {
            var differences = pair.Value.Zip(second[pair.Key], (a, b) => (double)Math.Abs(a - b)).Where((_, index) => !IsKeysBias(pair.Key, index, pair.Value.Length));
            return (differences.DefaultIfEmpty().Max() / Unit(pair), pair.Key);
        })
        .Max();

    private static double Unit(KeyValuePair<string, float[]> pair) =>
        pair.Key.Contains(".running_", StringComparison.Ordinal) ? Math.Max(1, pair.Value.Max(Math.Abs)) : 1;

    private static bool IsKeysBias(string name, int index, int length) =>
        (name.EndsWith("in_proj_bias", StringComparison.Ordinal) || name.EndsWith("qkv.bias", StringComparison.Ordinal)) && index / (length / 3) == 1;

    /// <summary>A classifier's training with late tokens, mixing and an average.</summary>
    public static Training Vit(IProcessGroup processes, VitTrainingConfig recipe)
    {
        var config = recipe with
        {
            Dataset = "shapes", TrainNumSamples = Images, ValNumSamples = 48, InputSize = 32, PatchSize = 8, EmbedDim = 32, NumHeads = 2, Depth = 3, NumReg = 2,
            ClsPos = 2, RegPos = 1, Epochs = 5, BatchSize = GlobalBatch / processes.Size, WarmupEpochs = 1, Lr = 0.01, DropPath = 0, ModelEmaDecay = 0.9,
            RepeatedAug = false,
        };
        var data = VitDatasets.All.Find("shapes").Open(config, new());
        var model = DynamicVit.Create(config.Architecture(data.ClassNames.Count), config.Seed);
        return new(new VitTask(model, data, config, processes: processes), model, data);
    }

    private static Training Clip(ClipConfig architecture, IProcessGroup processes, Func<ClipTrainingConfig, ClipTrainingConfig> more)
    {
        var config = more(new() { Model = "tiny", Tokenizer = "words", TrainData = "shapes", Epochs = 5, BatchSize = GlobalBatch / processes.Size, Lr = 5e-4, Warmup = 2 });
        var model = new ClipModel(architecture, ClipInitialization.Draw(architecture, seed: 5));
        var (train, validation) = Pairs();
        return new(
            new ClipTask(model, train, validation, new(64), ShapesClipArchitecture.Tokenizer, config, processes: processes), model, train, validation);
    }

    private static Training Finetune(IProcessGroup processes)
    {
        var config = new FinetuneTrainingConfig
        {
            StudentModel = "s", TrainData = "shapes", Epochs = 5, BatchSize = GlobalBatch / processes.Size, Lr = 5e-4, Warmup = 2,
        };
        var model = new ClipModel(_clip, ClipInitialization.Draw(_clip, seed: 5));
        var (train, validation) = Pairs();
        return new(
            new ClipTask(model, train, validation, new(64), ShapesClipArchitecture.Tokenizer, config, processes: processes), model, train, validation);
    }

    private static Training Distill(IProcessGroup processes)
    {
        var config = new DistillTrainingConfig
        {
            Pretrained = "t", TrainData = "shapes", Epochs = 5, BatchSize = GlobalBatch / processes.Size, Lr = 1e-3, Warmup = 2, PatchDropout = 0.3,
            MemoryLayers = "1", MemKDim = 16, MemVDim = 16, MemHeads = 2, MemKnn = 4, MemNKeys = 8,
        };
        var teacher = new ClipModel(_clip, ClipInitialization.Draw(_clip, seed: 5));
        var student = MemoryStudent.Of(teacher, config.Memory(_clip.Vision), config.MemoryInit, config.Seed);
        var (train, validation) = Pairs();
        return new(
            new DistillTask(teacher, student, train, validation, new(64), ShapesClipArchitecture.Tokenizer, config, "t", processes: processes),
            student, teacher, train, validation);
    }

    private static Training Lm(IProcessGroup processes, string boundaries)
    {
        var folder = new TemporaryFolder();
        File.WriteAllText(folder["text"], string.Concat(Enumerable.Repeat("the small brown fox jumps over the lazy dog and sleeps ", 200)));
        var corpus = TextCorpus.Open(folder["text"]);
        var config = new LmTrainingConfig
        {
            Data = "", DModel = 16, NHead = 2, DHead = 8, DInner = 32, ModelConfig = "[1, (1,), 1]", BoundariesType = boundaries, Dropout = 0, Dropatt = 0,
            MaxStep = 20, TgtLen = 32, BatchSize = 8, EvalTgtLen = 32, EvalTotalLen = 32, EvalMaxSteps = 4, WarmupStep = 2, Lr = 1e-3,
        };
        return new(new LmTask(config, corpus, null, torch.CPU, SilentProgress.Instance, processes: processes), folder);
    }

    private static Training Shapes(IProcessGroup processes) => new(new ShapesClipTask(
        new()
        {
            TrainImages = 200,
            ValidationImages = 48,
            Phases =
            [
                new() { Steps = 10, BatchSize = GlobalBatch, WarmupSteps = 2, FullTokenSteps = 2, LearningRate = 3e-4 },
                new() { Steps = 10, BatchSize = GlobalBatch, WarmupSteps = 2, FullTokenSteps = 10, LearningRate = 3e-4, Registers = new() { Steps = 8, RampSteps = 4 } },
            ],
        },
        processes));

    private static (ShapesImages Train, ShapesImages Validation) Pairs() =>
        (new(ShapesSet.Generate(ShapesSplit.Train, Images)), new(ShapesSet.Generate(ShapesSplit.Retrieval, 20)));

    /// <summary>A training with what it stands on.</summary>
    internal sealed class Training(ITrainingTask task, params IDisposable[] owned) : IDisposable
    {
        public ITrainingTask Task => task;

        public void Dispose()
        {
            (task as IDisposable)?.Dispose();
            Array.ForEach(owned, thing => thing.Dispose());
        }
    }
}
