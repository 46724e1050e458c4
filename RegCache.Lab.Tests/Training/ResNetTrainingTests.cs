using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Training;

[Trait("Category", "Slow")]
public sealed class ResNetTrainingTests : IDisposable
{
    private const string Statistic = "visual.layer2.0.bn2.running_var";
    private const string Counted = "visual.layer2.0.bn2.num_batches_tracked";

    private static readonly ClipConfig _tiny = ShapesClipArchitecture.Config with
    {
        Vision = new() { Stages = [1, 1, 1, 1], Layers = 0, Width = 8, ImageSize = (64, 64) },
        Text = ShapesClipArchitecture.Config.Text! with { Layers = 1, Width = 32, Heads = 2 },
        EmbedDim = 24,
    };

    private static readonly ClipTrainingConfig _config = new()
    {
        Model = "tiny", Tokenizer = "words", TrainData = "shapes", Epochs = 2, BatchSize = 8, AccumFreq = 2, Lr = 1e-3, Warmup = 2,
        EmaDecay = 0.9, GradClipNorm = 1, SaveEveryNSteps = 3, LogEveryNSteps = 1,
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("resnet-").FullName;

    [Theory]
    [InlineData(AccumulationKind.CachedFeatures, false)]
    [InlineData(AccumulationKind.Gradients, true)]
    public void GoingOnFromAnyCheckpointGivesTheSameBits(AccumulationKind accumulation, bool checkpointing)
    {
        var config = _config with { Accumulation = accumulation, GradCheckpointing = checkpointing, SamRho = checkpointing ? 0.05 : null };
        var whole = Train(config, "whole", stopAfter: null);
        Train(config, "parts", stopAfter: 4);
        Assert.Equal(whole, Train(config, "parts", stopAfter: null));
    }

    [Fact]
    public void EachBatchMovesTheStatisticsOnceHoweverOftenItIsSeen()
    {
        var batches = 100 / _config.BatchSize / _config.AccumFreq * _config.AccumFreq * _config.Epochs;
        foreach (var config in new[] { _config, _config with { Accumulation = AccumulationKind.Gradients }, _config with { GradCheckpointing = true }, _config with { SamRho = 0.05 } })
        {
            Train(config with { EmaDecay = null }, $"{config.Accumulation}{config.GradCheckpointing}{config.SamRho}", null, model => Assert.Equal(batches, model.Weights[Counted].item<long>()));
        }
    }

    [Fact]
    public void CheckpointingChangesNoBit() =>
        Assert.Equal(Train(_config, "plain", stopAfter: null), Train(_config with { GradCheckpointing = true }, "again", stopAfter: null));

    [Fact]
    public void MixedPrecisionTrainsAndIsNotTheSame() =>
        Assert.NotEqual(Train(_config, "exact", stopAfter: null), Train(_config with { Precision = TrainingPrecision.AmpBf16 }, "mixed", stopAfter: null));

    [Fact]
    public void ALockedTowerKeepsItsStatistics()
    {
        using var before = new ClipModel(_tiny, ClipInitialization.Draw(_tiny, seed: 5));
        Train(_config with { LockImage = true, EmaDecay = null }, "locked", null, model =>
        {
            foreach (var name in model.Weights.Names.Where(name => name.StartsWith("visual.", StringComparison.Ordinal)))
            {
                GoldenTensors.AssertIdentical(before.Weights[name], model.Weights[name]);
            }
        });
    }

    [Fact]
    public void WhatNeedsATransformerIsRefused()
    {
        var message = Assert.Throws<UserException>(() => Train(_config with { LockImage = true, LockImageUnlockedGroups = 1 }, "part", null)).Message;
        Assert.Contains("lock_image_unlocked_groups", message, StringComparison.Ordinal);
        Assert.Contains("patch_dropout", Assert.Throws<UserException>(() => Train(_config with { PatchDropout = 0.5 }, "dropped", null)).Message, StringComparison.Ordinal);
        Assert.Contains("ResNet", Assert.Throws<UserException>(() => _config.Memory(_tiny.Vision)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void BlocksBeginAsTheIdentityAndNormsAreNotDecayed()
    {
        using var weights = ClipInitialization.Draw(_tiny, seed: 1);
        Assert.Equal(0, weights["visual.layer2.0.bn3.weight"].abs().sum().item<float>());
        Assert.Equal(8, weights["visual.bn3.weight"].sum().item<float>());
        Assert.Equal(16, weights[Statistic].sum().item<float>());
        Assert.Equal(torch.ScalarType.Int64, weights[Counted].dtype);
        Assert.InRange(weights["visual.attnpool.q_proj.weight"].std().item<float>(), 0.9 / 16, 1.1 / 16);
        Assert.InRange(weights["visual.layer4.0.conv2.weight"].abs().max().item<float>(), 0.98 / 24, 1.0 / 24);
        using var model = new ClipModel(_tiny, weights);
        TrainedParameters.Choose(model, _config);
        var groups = ParameterGroups.Of(model.Weights, weightDecay: 0.1);
        Assert.Contains("visual.layer1.0.downsample.1.weight", groups[0].Parameters.Select(parameter => parameter.Name));
        Assert.Contains("visual.attnpool.positional_embedding", groups[1].Parameters.Select(parameter => parameter.Name));
        Assert.DoesNotContain(groups.SelectMany(group => group.Parameters), parameter => BatchNorm.IsStatistic(parameter.Name));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private byte[] Train(ClipTrainingConfig config, string name, int? stopAfter, Action<ClipModel>? look = null)
    {
        using var model = new ClipModel(_tiny, ClipInitialization.Draw(_tiny, seed: 5));
        using var train = new ShapesImages(ShapesSet.Generate(ShapesSplit.Train, 100));
        using var validation = new ShapesImages(ShapesSet.Generate(ShapesSplit.Retrieval, 20));
        using var task = new ClipTask(model, train, validation, new PreprocessOptions(64), ShapesClipArchitecture.Tokenizer, config);
        using var cancellation = new CancellationTokenSource();
        var loop = new TrainingLoop(
            task,
            config.Loop,
            new(Path.Combine(_folder, name), keep: 2),
            _ => [new Stopper(() => stopAfter is { } most ? most : int.MaxValue, cancellation)],
            SilentProgress.Instance);
        if (stopAfter is null)
        {
            Assert.InRange(loop.Run()["val/image_to_text_R@10"], 0, 1);
        }
        else
        {
            Assert.Throws<OperationCanceledException>(() => loop.Run(cancellation.Token));
        }

        task.Finish();
        look?.Invoke(model);
        return [.. model.Weights.Names.SelectMany(weight => model.Weights[weight].detach().contiguous().bytes.ToArray())];
    }

    /// <summary>Stops a training after some log lines.</summary>
    private sealed class Stopper(Func<int> after, CancellationTokenSource cancellation) : ITrainingLog
    {
        private int _seen;

        public void Write(long step, IReadOnlyDictionary<string, double> values)
        {
            if (++_seen == after())
            {
                cancellation.Cancel();
            }
        }

        public void Dispose()
        {
        }
    }
}
