using System.Diagnostics;
using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Training.Vit;

/// <summary>
/// Trains a classifier with late tokens with DeiT's recipe: augmentation, mixing, stochastic depth, distillation, sharpness-aware steps,
/// a moving average (docs/methods/late-tokens.md, "Training"). The best model is that of the best top-1 on the test images.
/// </summary>
public sealed class VitTask : ITrainingTask, IDisposable
{
    /// <summary>Names of the numbers that <see cref="Evaluate"/> gives.</summary>
    public const string TestLoss = "val/loss", TestTop1 = "val/acc1", TestTop5 = "val/acc5", AverageTop1 = "val/ema_acc1", EpochLoss = "train/epoch_loss", EpochRate = "train/epoch_lr";

    private readonly VitTrainingConfig _config;
    private readonly DynamicVit? _teacher;
    private readonly int _classes;
    private readonly ImageBatches _batches;
    private readonly ImageSetSource _test;
    private readonly Optimizer _optimizer;
    private readonly GradientAverage _gradients;
    private readonly EpochCosineSchedule _schedule;
    private readonly SamTraining? _sharpness;
    private readonly WeightAverage? _average;
    private readonly ILayerTransform? _precision;
    private readonly EarlyStoppingState _best;
    private readonly IWorkProgress _progress;
    private readonly IProcessGroup _processes;

    // Sum of the losses of the epoch's steps so far, and their number: in the checkpoint, so that a killed epoch has its mean.
    private readonly Tensor _epochLoss;

    /// <summary>Prepares a training. The caller keeps model, data and teacher and disposes them.</summary>
    /// <param name="model">The classifier.</param>
    /// <param name="data">The images.</param>
    /// <param name="config">The training, as its file says.</param>
    /// <param name="teacher">The teacher of the distillation token, or null.</param>
    /// <param name="origins">Identifies what the training begins with besides: hashes of weights, by role.</param>
    /// <param name="workers">Threads that make batches; 0: as many as there are cores.</param>
    /// <param name="progress">Told of evaluations; null for nobody.</param>
    /// <param name="processes">The processes that train together, each with batches of the configuration's size; null for one.</param>
    /// <exception cref="UserException">The configuration does not fit the data, the model or the teacher.</exception>
    public VitTask(
        DynamicVit model,
        VitData data,
        VitTrainingConfig config,
        DynamicVit? teacher = null,
        IReadOnlyDictionary<string, string>? origins = null,
        int workers = 0,
        IWorkProgress? progress = null,
        IProcessGroup? processes = null)
    {
        // All but who computes what, the learning rate too, follows from the batch of all processes.
        _processes = processes ?? SingleProcess.Instance;
        config = config with { BatchSize = config.BatchSize * _processes.Size };
        (Model, _config, _teacher, _progress) = (model, config, teacher, progress ?? SilentProgress.Instance);
        _classes = data.ClassNames.Count;
        CheckDistillation();
        _batches = new(data.Train, config.Transform, config.BatchSize, config.Seed, workers, _processes, config.RepeatedAug);
        _test = new(data.Test, new(EvaluationTransform.Of(model.Config.ImageSize, config.EvalCropRatio)));
        foreach (var (name, tensor) in model.Weights.Parameters)
        {
            tensor.requires_grad = !config.AttnOnly || IsOfAttention(name);
        }

        _optimizer = Optimizers.All.Find(config.Opt).Make(
            ParameterGroups.Of(model.Weights, config.WeightDecay, isDecayed: (name, dimensions) => PlacementParameters.Decays(name, dimensions)),
            new(config.Beta1, config.Beta2, config.OptEps, config.Momentum));
        _gradients = new(_processes, _optimizer.Parameters);
        _schedule = new(config.ScaledLr, config.WarmupEpochs, config.Epochs, StepsPerEpoch, config.WarmupLr, config.MinLr);
        _sharpness = config.Sharpness is { } sharpness ? new([.. model.Weights.Parameters.Select(pair => pair.Value)], sharpness) : null;
        _average = config.ModelEmaDecay is { } decay ? new(model.Weights, decay) : null;
        _precision = config.Precision switch
        {
            TrainingPrecision.Fp32 => null,
            TrainingPrecision.AmpBf16 => new Bf16Precision(),
            _ => throw new UnreachableException(),
        };
        _best = new(new((_average is null ? TestTop1 : AverageTop1)["val/".Length..], Patience: 0, MinDelta: 0) { KeepsBest = true });
        _epochLoss = torch.zeros(2, torch.ScalarType.Float64, model.Tower.Placement.Device).DetachFromDisposeScope();
        Fingerprint = ContentHash.OfValue(new
        {
            config,
            train = data.Train.ComputeFingerprint(),
            test = _test.Fingerprint,
            architecture = model.Config.ToJson(),
            origins = origins ?? new Dictionary<string, string>(),
            repeats = config.RepeatedAug && _processes.Size > 1,
        });
    }

    /// <summary>The classifier.</summary>
    public DynamicVit Model { get; }

    /// <summary>Optimiser steps of an epoch.</summary>
    public int StepsPerEpoch => _batches.PerEpoch;

    /// <summary>Number of parameters that are trained.</summary>
    public long TrainedParameters => Model.Weights.Parameters.Where(pair => pair.Value.requires_grad).Sum(pair => pair.Value.NumberOfElements);

    /// <summary>Where the model is saved whenever it is the best so far; null saves none.</summary>
    public string? BestFolder { get; init; }

    /// <inheritdoc />
    public long Steps => (long)StepsPerEpoch * _config.Epochs;

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public EarlyStoppingState Stopping => _best;

    /// <inheritdoc />
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        Model.Weights.Parameters.Select(pair => KeyValuePair.Create($"model.{pair.Key}", pair.Value))
            .Concat(_optimizer.State)
            .Concat(_average?.State ?? [])
            .Concat(_best.State)
            .Append(new("epoch_loss", _epochLoss));

    /// <summary>How often the loop logs, measures and saves.</summary>
    public TrainingLoopOptions Loop => new()
    {
        LogEvery = _config.LogEveryNSteps,
        EvaluateEvery = _config.ValFrequency * StepsPerEpoch,
        SaveEvery = _config.SaveFrequency * StepsPerEpoch,
    };

    /// <inheritdoc />
    public void Prepare(long step) => _optimizer.Resume(step);

    /// <inheritdoc />
    public StepMetrics Step(long step) => TensorScope.Run(() =>
    {
        using var batch = _batches.Read(step);
        var device = Model.Tower.Placement.Device;
        var (images, labels) = (batch.Images.to(device), batch.Labels.to(device));
        var random = CounterRandom.Of(_config.Seed, purpose: 412, step);
        var loss = Loss(images, labels, random);
        _optimizer.ZeroGradients();
        var value = SamTraining.Passes(_sharpness, () => Differentiate(loss), _gradients.Begin);
        _gradients.End();
        var norm = _config.ClipGrad is null ? null : _optimizer.GradientNorm();
        var rate = _schedule.At(step);
        _optimizer.Step(rate, norm, _config.ClipGrad ?? double.PositiveInfinity);
        _average?.Update();
        _processes.Mean(value);
        Remember(step, value);
        return new StepMetrics(value, rate, _config.BatchSize / _processes.Size) { GradientNorm = norm, Batch = batch.Name };
    });

    /// <inheritdoc />
    public IReadOnlyDictionary<string, double> Evaluate()
    {
        var plain = Measure();
        var values = new OrderedDictionary<string, double>
        {
            [EpochRate] = _schedule.At(Math.Max(0, _optimizer.Steps - 1)),
            [EpochLoss] = _epochLoss[0].ToDouble() / _epochLoss[1].ToDouble(),
            [TestLoss] = plain.Loss,
            [TestTop1] = plain.Top1,
            [TestTop5] = plain.Top5,
        };
        if (_average is not null)
        {
            _average.Swap();
            var averaged = Measure();
            _average.Swap();
            (values["val/ema_loss"], values[AverageTop1], values["val/ema_acc5"]) = (averaged.Loss, averaged.Top1, averaged.Top5);
        }

        return values;
    }

    private VitEvaluation Measure() =>
        VitEvaluation.Run(Model.Tower, _test, new("evaluating", Math.Max(1, _config.BatchSize / _processes.Size * 3 / 2)) { Progress = _progress, Processes = _processes });

    /// <inheritdoc />
    public void Improved(long done)
    {
        if (BestFolder is null)
        {
            return;
        }

        _average?.Swap();
        Model.Save(BestFolder);
        _average?.Swap();
    }

    /// <summary>Ends the training: the model takes the averaged weights where an average was kept.</summary>
    public void Finish() => _average?.Swap();

    /// <inheritdoc />
    public void Dispose()
    {
        _batches.Dispose();
        _optimizer.Dispose();
        _average?.Dispose();
        _best.Dispose();
        _epochLoss.Dispose();
    }

    private static bool IsOfAttention(string name) =>
        name.Contains(".attn", StringComparison.Ordinal) || name.StartsWith("head", StringComparison.Ordinal) || name == PlacementParameters.Positions;

    // The loss of a batch, to be computed once or, with sharpness-aware minimisation, twice: mixing and dropped branches stay the same.
    private Func<Tensor> Loss(Tensor images, Tensor labels, CounterRandom random)
    {
        // What is dropped is drawn by each process for its own images; what is mixed, for the whole batch.
        var (mixing, dropping) = (random.Fork(0), random.Fork(1 + _processes.Rank));
        Mix[] mixes = [Mix.Nothing];
        if (_config.Mixing.IsOn)
        {
            var all = _config.Mixing.Draw(ref mixing, _config.BatchSize, (int)images.shape[2], (int)images.shape[3]);
            mixes = [.. _batches.Rows.Select(row => all[row])];
        }

        var seen = _config.Mixing.IsOn ? Mixing.Apply(images, mixes) : images;
        var criterion = Criterion(labels, mixes);
        if (_config.Cosub)
        {
            var twice = torch.cat([seen, seen], 0);
            return () => ClassificationLosses.Cosub(Model.Forward(twice, dropping, _precision, _gradients.Mark).Logits, criterion);
        }

        var taught = _teacher is null ? null : Taught(seen);
        return () =>
        {
            var scores = Model.Forward(seen, dropping, _precision, _gradients.Mark);
            var loss = criterion(scores.Logits);
            return taught is null
                ? loss
                : _config.Distillation.Combine(loss, scores.Distillation!, taught, _config.DistillationAlpha, _config.DistillationTau);
        };
    }

    private Func<Tensor, Tensor> Criterion(Tensor labels, Mix[] mixes)
    {
        if (!_config.BceLoss && !_config.Mixing.IsOn)
        {
            return logits => ClassificationLosses.LabelSmoothing(logits, labels, _config.Smoothing);
        }

        var targets = Mixing.Targets(labels, _classes, mixes, _config.Smoothing);
        if (!_config.BceLoss)
        {
            return logits => ClassificationLosses.SoftTarget(logits, targets);
        }

        // Both images of a mix are there, whatever their shares.
        var present = targets.gt(0).to(torch.ScalarType.Float32);
        return logits => ClassificationLosses.Binary(logits, present);
    }

    private Tensor Taught(Tensor images)
    {
        using var noGradient = torch.no_grad();
        return _teacher!.Forward(images).Logits;
    }

    private static Tensor Differentiate(Func<Tensor> loss) => TensorScope.Run(() =>
    {
        var value = loss();
        value.backward();
        return value.detach();
    });

    private void Remember(long step, Tensor loss)
    {
        if (step % StepsPerEpoch == 0)
        {
            _epochLoss.zero_();
        }

        using var one = torch.stack([loss.to(torch.ScalarType.Float64), torch.ones_like(loss, torch.ScalarType.Float64)]);
        _epochLoss.add_(one);
    }

    private void CheckDistillation()
    {
        var isTaught = _config.Distillation.Of is not null;
        if (isTaught && !Model.Config.IsDistilled)
        {
            throw new UserException($"`distillation_type` {_config.DistillationType} needs a student with a distillation token: give `dist_pos`, the block before which it enters (--dist-pos).");
        }

        if (!isTaught && Model.Config.IsDistilled)
        {
            throw new UserException("The model has a distillation token, whose head would stay as it was drawn: give `distillation_type` and `teacher`, or leave out `dist_pos`.");
        }

        if (_teacher is { Config: { } taught } && (taught.Classes != _classes || taught.ImageSize != Model.Config.ImageSize))
        {
            throw new UserException(
                $"The teacher takes images of {taught.ImageSize.Height} x {taught.ImageSize.Width} pixels and knows {taught.Classes} classes; the student takes {Model.Config.ImageSize.Height} x {Model.Config.ImageSize.Width} and has to learn {_classes}: choose another teacher.");
        }
    }
}

/// <summary>Upstream's log: one JSON object an epoch in <c>log.txt</c>, with the rate, both losses, both accuracies and the number of parameters.</summary>
/// <param name="path">The file.</param>
/// <param name="lastStep">The step that a resumed training continues after.</param>
/// <param name="stepsPerEpoch">Optimiser steps of an epoch.</param>
/// <param name="parameters">Number of trained parameters.</param>
public sealed class EpochLog(string path, long lastStep, int stepsPerEpoch, long parameters) : ITrainingLog
{
    private static readonly (string Theirs, string Ours)[] _names =
    [
        ("train_lr", VitTask.EpochRate), ("train_loss", VitTask.EpochLoss), ("test_loss", VitTask.TestLoss), ("test_acc1", VitTask.TestTop1),
        ("test_acc5", VitTask.TestTop5), ("ema_test_acc1", VitTask.AverageTop1),
    ];

    private readonly JsonLinesLog _lines = new(path, (lastStep / stepsPerEpoch) - 1, "epoch");

    /// <inheritdoc />
    public void Write(long step, IReadOnlyDictionary<string, double> values)
    {
        if (values.ContainsKey(VitTask.TestTop1))
        {
            var known = _names.Where(name => values.ContainsKey(name.Ours)).Select(name => KeyValuePair.Create(name.Theirs, values[name.Ours]));
            _lines.Write((step / stepsPerEpoch) - 1, new OrderedDictionary<string, double>(known.Append(new("n_parameters", parameters))));
        }
    }

    /// <inheritdoc />
    public void Dispose() => _lines.Dispose();
}
