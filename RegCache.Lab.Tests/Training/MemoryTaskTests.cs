using RegCache.Lab.Data;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Memory;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Data;
using RegCache.Lab.Tests.Data.Images;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Training;

/// <summary>Distillation, finetuning and contrastive training of models with memory layers, as tasks of the training loop.</summary>
[Trait("Category", "Slow")]
public sealed class MemoryTaskTests : IDisposable
{
    private static readonly ClipConfig _tiny = ShapesClipArchitecture.Config with
    {
        Vision = new() { Layers = 4, Width = 32, HeadWidth = 16, PatchSize = 16, ImageSize = (64, 64) },
        Text = ShapesClipArchitecture.Config.Text! with { Layers = 1, Width = 32, Heads = 2 },
        EmbedDim = 24,
    };

    private static readonly DistillTrainingConfig _distill = new()
    {
        Pretrained = "teacher", TrainData = "shapes", Epochs = 3, BatchSize = 8, AccumFreq = 2, Lr = 1e-3, Warmup = 2, LossType = "cosine", GradClipNorm = 1,
        MemoryLayers = "1,3", MemNKeys = 4, MemKnn = 2, MemKDim = 16, MemVDim = 16, SaveFrequency = null, SaveEveryNSteps = 2, LogEveryNSteps = 1,
    };

    private static readonly FinetuneTrainingConfig _finetune = new()
    {
        StudentModel = "student", TrainData = "shapes", Epochs = 1, BatchSize = 8, AccumFreq = 2, Lr = 1e-4, Warmup = 2, SaveFrequency = null, SaveEveryNSteps = 2, LogEveryNSteps = 1,
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("memory-task-").FullName;
    private readonly ClipModel _teacher = new(_tiny, ClipInitialization.Draw(_tiny, seed: 5));

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void ADistillationGoesOnFromAnyCheckpointToTheSameWeights(bool checkpointing, bool cache)
    {
        var config = _distill with { GradCheckpointing = checkpointing, CacheTeacher = cache, CropScale = cache ? null : [0.9, 1.0], EarlyStopPatience = 2 };
        var whole = Distill(config, "whole").Weights;
        Distill(config, "parts", stopAfter: 5);
        Assert.Equal(whole, Distill(config, "parts").Weights);
    }

    [Fact]
    public void CheckpointingAndTheCacheChangeNothingButRounding()
    {
        // A shared table adds up its layers' gradients in another order.
        var config = _distill with { CropScale = null };
        var plain = Distill(config, "plain").Weights;
        var again = Distill(config with { GradCheckpointing = true }, "again").Weights;
        Assert.InRange(plain.Zip(again, (a, b) => Math.Abs(a - b)).Max(), 0, 1e-5);
        Assert.Equal(
            Distill(config with { MemShareValues = false }, "separate").Weights,
            Distill(config with { MemShareValues = false, GradCheckpointing = true }, "separate-again").Weights);
        var cached = Distill(config with { CacheTeacher = true }, "cached").Weights;
        Assert.InRange(plain.Zip(cached, (a, b) => Math.Abs(a - b)).Max(), 0, 1e-4);
    }

    [Fact]
    public void ADistilledStudentComesCloserAndKeepsItsFrozenParameters()
    {
        using var student = MemoryStudent.Of(_teacher, _distill.Memory(_tiny.Vision), MemoryStart.Proper, seed: 1);
        var before = student.Weights.Names.ToDictionary(name => name, name => student.Weights[name].detach().clone());
        var (_, metrics, first) = Distill(_distill with { Epochs = 6, Lr = 3e-3, EvaluateEveryNSteps = 1, ValFrequency = null }, "run", student: student);
        Assert.True(metrics["val/similarity_mean"] > first["val/similarity_mean"]);
        foreach (var name in student.Weights.Names)
        {
            Assert.Equal(!MemoryNames.IsMemory(name), before[name].eq(student.Weights[name]).all().item<bool>());
        }

        Assert.Equal(DistillEvaluation.Metrics.Order(), metrics.Keys.Select(name => name[4..]).Where(name => name != "num_samples").Order());
    }

    [Fact]
    public void TheTablesLearningRateIsItsOwn()
    {
        float[] Table(double? rate)
        {
            using var student = MemoryStudent.Of(_teacher, _distill.Memory(_tiny.Vision), MemoryStart.Fork, seed: 1);
            var table = student.Weights[MemoryNames.Slot(1) + MemoryNames.Values];
            var before = table.detach().clone();
            Distill(_distill with { Epochs = 1, ValueFixedLr = rate, Wd = 0 }, $"rate-{rate}", student: student);
            return (table.detach() - before).abs().data<float>().ToArray();
        }

        // A step of Adam is at most about its learning rate.
        Assert.Equal(10, Table(1e-2).Max() / Table(1e-3).Max(), 1.5);
        Assert.InRange(Table(1e-7).Max(), 0, 1e-6);
        Assert.True(Table(null).Max() > 1e-4);
    }

    [Fact]
    public void EarlyStoppingEndsTheTrainingAndKeepsTheBest()
    {
        var config = _distill with { Epochs = 50, EarlyStopPatience = 2, EarlyStopMinDelta = 100, SaveEveryNSteps = 0 };
        var (_, metrics, _) = Distill(config, "stopped");
        Assert.Contains("val/clip_val_loss", metrics.Keys);
        Assert.Equal(3 * 2, Directory.GetFiles(Path.Combine(_folder, "stopped"), "step-*").Select(file => int.Parse(Path.GetFileName(file)[5..14])).Max());
        Assert.True(File.Exists(Path.Combine(_folder, "stopped", "best.safetensors")));

        // Started again it stays stopped.
        Assert.Equal(metrics["val/clip_val_loss"], Distill(config, "stopped").Metrics["val/clip_val_loss"]);
    }

    [Fact]
    public void EarlyStoppingOnWhatIsNotMeasuredIsRefused()
    {
        var message = Assert.Throws<UserException>(() => Distill(_distill with { EarlyStopPatience = 1, EarlyStopMetric = "accuracy" }, "bad")).Message;
        Assert.Contains("`accuracy`", message, StringComparison.Ordinal);
        Assert.Contains("similarity_mean", message, StringComparison.Ordinal);
        Assert.Contains("nothing is evaluated", Assert.Throws<UserException>(() => Distill(_distill with { EarlyStopPatience = 1 }, "bad", validate: false)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATeacherOfAnotherWidthIsRefused()
    {
        var wide = _tiny with { EmbedDim = 16 };
        using var other = new ClipModel(wide, ClipInitialization.Draw(wide, seed: 5));
        using var student = MemoryStudent.Of(other, _distill.Memory(wide.Vision), MemoryStart.Fork, seed: 1);
        Assert.Contains("16 channels", Assert.Throws<UserException>(() => Distill(_distill, "bad", student: student)).Message, StringComparison.Ordinal);
        using var plain = new ClipModel(_tiny, ClipInitialization.Draw(_tiny, seed: 6));
        Assert.Contains("no memory layers", Assert.Throws<UserException>(() => Distill(_distill, "bad", student: plain)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ALossThatIsNotFiniteNamesStepBatchAndTheLastGoodCheckpoint()
    {
        using var student = MemoryStudent.Of(_teacher, _distill.Memory(_tiny.Vision), MemoryStart.Fork, seed: 1);
        var message = Assert.Throws<UserException>(() => Distill(_distill with { Lr = 1e30, Warmup = 0, ValueFixedLr = null, GradClipNorm = null, SaveEveryNSteps = 1 }, "nan", student: student)).Message;
        Assert.Contains("at step", message, StringComparison.Ordinal);
        Assert.Contains("batch: batch", message, StringComparison.Ordinal);
        Assert.Contains("last good checkpoint", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(AccumulationKind.CachedFeatures, false)]
    [InlineData(AccumulationKind.CachedFeatures, true)]
    [InlineData(AccumulationKind.Gradients, false)]
    public void FinetuningGoesOnToTheSameWeights(AccumulationKind accumulation, bool checkpointing)
    {
        var config = _finetune with { Accumulation = accumulation, GradCheckpointing = checkpointing };
        var whole = Finetune(config, "whole");
        Finetune(config, "parts", stopAfter: 3);
        Assert.Equal(whole, Finetune(config, "parts"));
    }

    [Fact]
    public void LockedTowersKeepTheirBits()
    {
        using var student = MemoryStudent.Of(_teacher, _distill.Memory(_tiny.Vision), MemoryStart.Fork, seed: 1);
        var before = student.Weights.Names.ToDictionary(name => name, name => student.Weights[name].detach().clone());
        foreach (var (config, isTrained) in new (FinetuneTrainingConfig, Func<string, bool>)[]
        {
            (_finetune with { LockImage = true }, name => !name.StartsWith("visual.", StringComparison.Ordinal)),
            (_finetune with { LockText = true }, name => name.StartsWith("visual.", StringComparison.Ordinal) || name == "logit_scale"),
            (_finetune with { LockImage = true, LockImageUnlockedGroups = 2 }, name => !name.StartsWith("visual.", StringComparison.Ordinal)
                || name.StartsWith("visual.transformer.resblocks.3.", StringComparison.Ordinal) && !name.Contains("values", StringComparison.Ordinal)
                || name.StartsWith("visual.ln_post", StringComparison.Ordinal) || name == "visual.proj"),
            (_finetune with { LockImage = true, LockText = true, LockTextUnlockedLayers = 1, GradCheckpointing = true }, name => name is "text_projection" or "logit_scale"),
        })
        {
            using var model = new ClipModel(student.Config, new("copy", before.Select(pair => KeyValuePair.Create(pair.Key, pair.Value.clone()))));
            Finetune(config with { Lr = 1e-3 }, $"locked-{Guid.NewGuid():N}", model: model);
            foreach (var (name, tensor) in model.Weights.Parameters)
            {
                Assert.True(isTrained(name) != before[name].eq(tensor).all().item<bool>(), $"{name} with {config}");
            }
        }
    }

    [Fact]
    public void LocksThatLeaveNothingOrMoreThanThereIsAreRefused()
    {
        Assert.Contains("Nothing is left", Assert.Throws<UserException>(() => Finetune(_finetune with { LockImage = true, LockText = true }, "bad")).Message, StringComparison.Ordinal);
        Assert.Contains("6 groups", Assert.Throws<UserException>(() => Finetune(_finetune with { LockImage = true, LockImageUnlockedGroups = 7 }, "bad")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void BothTermsOfLongAndShortCaptionsAreLogged()
    {
        var seen = new List<IReadOnlyDictionary<string, double>>();
        Finetune(_finetune, "terms", seen: seen.Add);
        var line = seen.First(values => values.ContainsKey("train/loss"));
        Assert.Equal((0.8 * line["train/contrastive_loss"]) + (0.2 * line["train/contrastive_loss_short"]), line["train/loss"], 1e-4);
        var validation = seen.Last(values => values.ContainsKey("val/clip_val_loss"));
        Assert.Equal(validation["val/contrastive_loss"] + validation["val/contrastive_loss_short"], validation["val/clip_val_loss"], 1e-9);
        Assert.Contains("val/image_to_text_R@1", validation.Keys);
        Finetune(_finetune with { ShortWeight = 0 }, "plain", seen: values => Assert.DoesNotContain("train/contrastive_loss_short", values.Keys));
    }

    [Theory]
    [InlineData("a red circle. a blue square.", "a red circle")]
    [InlineData("a red circle", "a red circle")]
    [InlineData(".5 litres. more", ".5 litres. more")]
    public void TheShortCaptionIsTheFirstSentence(string caption, string expected) =>
        Assert.Equal(expected, FinetuneTrainingConfig.FirstSentence(caption));

    [Fact]
    public void AMissingCaptionIsNamed()
    {
        var image = File.ReadAllBytes(Path.Combine(PillowCases.Folder, "jpeg-420.jpg"));
        var tar = new TarBytes();
        for (var pair = 0; pair < 8; pair++)
        {
            tar.Add($"{pair}.jpg", image).Add($"{pair}.txt", pair == 5 ? " " : "a red circle. on grey");
        }

        var path = Path.Combine(_folder, "pairs.tar");
        File.WriteAllBytes(path, tar.Ended);
        using var pairs = new WebDatasetSource([path]);
        var message = Assert.Throws<UserException>(() => Finetune(_finetune with { BatchSize = 8, AccumFreq = 1 }, "bad", pairs: pairs)).Message;
        Assert.Contains("5.jpg has no caption", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ContrastiveTrainingTrainsTheMemoryAloneUnlessToldOtherwise()
    {
        foreach (var only in new[] { true, false })
        {
            var config = new ClipTrainingConfig
            {
                Pretrained = "m", TrainData = "shapes", UseMemory = true, TrainOnlyMemory = only, Epochs = 1, BatchSize = 8, Lr = 1e-3, Warmup = 1, EmaDecay = 0.9, SamRho = 0.05,
            };
            using var student = MemoryStudent.Of(_teacher, config.Memory(_tiny.Vision), MemoryStart.Fork, seed: 1);
            Assert.Equal([2], student.Config.Vision.Memory!.Blocks);
            var before = student.Weights.Names.ToDictionary(name => name, name => student.Weights[name].detach().clone());
            using var train = new ShapesImages(ShapesSet.Generate(ShapesSplit.Train, 32));
            using var task = new ClipTask(student, train, null, new(64), ShapesClipArchitecture.Tokenizer, config);
            new TrainingLoop(task, config.Loop, null, _ => [], SilentProgress.Instance).Run();
            Assert.Equal(!only, !before["text_projection"].eq(student.Weights["text_projection"]).all().item<bool>());
            Assert.False(before[MemoryNames.Slot(2) + MemoryNames.Values].eq(student.Weights[MemoryNames.Slot(2) + MemoryNames.Values]).all().item<bool>());
        }
    }

    public void Dispose()
    {
        _teacher.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private (float[] Weights, IReadOnlyDictionary<string, double> Metrics, IReadOnlyDictionary<string, double> First) Distill(
        DistillTrainingConfig config, string name, int? stopAfter = null, ClipModel? student = null, bool validate = true)
    {
        using var own = student is null ? MemoryStudent.Of(_teacher, config.Memory(_tiny.Vision), config.MemoryInit, config.Seed) : null;
        using var train = new ShapesImages(ShapesSet.Generate(ShapesSplit.Train, 40));
        using var validation = new ShapesImages(ShapesSet.Generate(ShapesSplit.Retrieval, 20));
        var tokenizer = ShapesClipArchitecture.Tokenizer;
        using var cache = config.CacheTeacher
            ? TeacherFeatures.Open(Path.Combine(_folder, name, "features"), _teacher, "t", train, new(64), tokenizer, config.BatchSize, null, SilentProgress.Instance, SingleProcess.Instance, default)
            : null;
        using var task = new DistillTask(_teacher, student ?? own!, train, validate ? validation : null, new(64), tokenizer, config, "t", cache);
        var seen = new List<IReadOnlyDictionary<string, double>>();
        var metrics = Run(task, name, stopAfter, seen.Add);
        return (Weights(task), metrics, seen.FirstOrDefault(values => values.ContainsKey("val/similarity_mean")) ?? metrics);
    }

    private float[] Finetune(
        FinetuneTrainingConfig config, string name, int? stopAfter = null, ClipModel? model = null, IPairSource? pairs = null, Action<IReadOnlyDictionary<string, double>>? seen = null)
    {
        using var own = model is null ? MemoryStudent.Of(_teacher, _distill.Memory(_tiny.Vision), MemoryStart.Fork, seed: 1) : null;
        using var train = new ShapesImages(ShapesSet.Generate(ShapesSplit.Train, 80));
        using var validation = new ShapesImages(ShapesSet.Generate(ShapesSplit.Retrieval, 20));
        using var task = new ClipTask(model ?? own!, pairs ?? train, validation, new(64), ShapesClipArchitecture.Tokenizer, config);
        Run(task, name, stopAfter, seen ?? (static _ => { }));
        return Weights(task);
    }

    private IReadOnlyDictionary<string, double> Run(PairTask task, string name, int? stopAfter, Action<IReadOnlyDictionary<string, double>> seen)
    {
        using var cancellation = new CancellationTokenSource();
        var lines = 0;
        var loop = new TrainingLoop(
            task,
            task.Loop,
            new(Path.Combine(_folder, name), keep: 2),
            _ => [new Listener(values =>
            {
                seen(values);
                if (++lines == stopAfter)
                {
                    cancellation.Cancel();
                }
            })],
            SilentProgress.Instance);
        if (stopAfter is null)
        {
            var metrics = loop.Run();
            task.Finish();
            return metrics;
        }

        Assert.Throws<OperationCanceledException>(() => loop.Run(cancellation.Token));
        return new Dictionary<string, double>();
    }

    private static float[] Weights(PairTask task) =>
        [.. task.Model.Weights.Parameters.SelectMany(pair => pair.Value.detach().data<float>().ToArray())];

    private sealed class Listener(Action<IReadOnlyDictionary<string, double>> heard) : ITrainingLog
    {
        public void Write(long step, IReadOnlyDictionary<string, double> values) => heard(values);

        public void Dispose()
        {
        }
    }
}
