using System.Diagnostics;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Memory;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// A training on image-text pairs, whatever its loss: micro-batches, an optimiser with OpenCLIP's groups and schedules, clipping, sharpness-aware
/// steps and a moving average. What a step minimises is the derived class's.
/// </summary>
public abstract class PairTask : ITrainingTask, IDisposable
{
    private readonly ClipTrainingConfig _config;
    private readonly ClipBatchReader _reader;
    private readonly SamTraining? _sharpness;
    private readonly Optimizer _optimizer;
    private readonly LearningRateSchedule _schedule;
    private readonly WeightAverage? _average;
    private long? _taken;

    /// <summary>Prepares a training of the tensors that require gradients.</summary>
    /// <param name="model">The model that is trained.</param>
    /// <param name="pairs">Makes the micro-batches.</param>
    /// <param name="config">The training, with the batch of all processes, see <see cref="Together"/>.</param>
    /// <param name="fingerprint">What the training depends on besides its configuration and the architecture.</param>
    /// <param name="processes">The processes that train together.</param>
    /// <exception cref="UserException">The configuration does not fit the data.</exception>
    private protected PairTask(ClipModel model, ClipBatchMaker pairs, ClipTrainingConfig config, string fingerprint, IProcessGroup processes)
    {
        (Model, _config, Processes) = (model, config, processes);
        if (model.ImageTower is ModifiedResNet network)
        {
            network.Processes = processes;
        }

        _reader = new(pairs, config.BatchSize, config.Seed, processes);
        StepsPerEpoch = _reader.BatchesPerEpoch / config.AccumFreq;
        if (StepsPerEpoch == 0)
        {
            throw new UserException(
                $"`accum_freq` {config.AccumFreq} times `batch_size` {config.BatchSize} is more than the {pairs.Count} pairs of an epoch; lower one of them.");
        }

        _sharpness = config.Sharpness is { } sharpness
            ? new([.. model.Weights.Parameters.Select(pair => pair.Value).Where(tensor => tensor.requires_grad)], sharpness)
            : null;
        _optimizer = Optimizers.All.Find(config.Opt).Make(
            ParameterGroups.Of(model.Weights, config.Wd, name => MemoryNames.IsTable(name) ? config.ValueFixedLr : null),
            new(config.Beta1, config.Beta2, config.Eps, config.Momentum));
        Gradients = new(processes, _optimizer.Parameters);
        _schedule = Schedule(config);
        _average = config.EmaDecay is { } decay ? new(model.Weights, decay) : null;
        Fingerprint = ContentHash.OfValue(new { config = (object)config, fingerprint, architecture = model.Config.ToString() });
    }

    /// <summary>The model that is trained.</summary>
    public ClipModel Model { get; }

    /// <summary>The processes that train together.</summary>
    public IProcessGroup Processes { get; }

    /// <summary>Averages the gradients over the processes.</summary>
    private protected GradientAverage Gradients { get; }

    /// <summary>Measures zero-shot accuracy with every evaluation; null: nothing does.</summary>
    public ZeroShotEvaluation? ZeroShot { get; set; }

    /// <summary>Optimiser steps of an epoch; micro-batches that fill no step are left out.</summary>
    public int StepsPerEpoch { get; }

    /// <inheritdoc />
    public long Steps => (long)StepsPerEpoch * _config.Epochs;

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public virtual EarlyStoppingState? Stopping => null;

    /// <inheritdoc />
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        Model.Weights.Parameters.Select(pair => KeyValuePair.Create($"model.{pair.Key}", pair.Value))
            .Concat(_optimizer.State)
            .Concat(_average?.State ?? [])
            .Concat(Stopping?.State ?? []);

    /// <summary>How often the loop logs, measures and saves, where the configuration counts in epochs, too.</summary>
    public TrainingLoopOptions Loop => _config.Loop with
    {
        EvaluateEvery = _config.ValFrequency * StepsPerEpoch
            ?? (_config is { ImagenetVal: not null, EvaluateEveryNSteps: 0 } ? StepsPerEpoch : _config.EvaluateEveryNSteps),
        SaveEvery = _config.SaveFrequency * StepsPerEpoch ?? _config.SaveEveryNSteps,
    };

    /// <inheritdoc />
    public void Prepare(long step) => _optimizer.Resume(step);

    /// <inheritdoc />
    public StepMetrics Step(long step) => TensorScope.Run(() =>
    {
        var batches = Read(step);
        try
        {
            _optimizer.ZeroGradients();
            var (loss, others) = Climb(batches, step);
            Gradients.End();
            var norm = _config.GradClipNorm is null ? null : _optimizer.GradientNorm();
            var rate = _schedule.At(step);
            _optimizer.Step(rate, norm, _config.GradClipNorm ?? double.PositiveInfinity);
            AfterStep();
            _average?.Update();
            _taken = step + 1;
            return new StepMetrics(loss, rate, batches.Sum(batch => batch.Count))
            {
                GradientNorm = norm,
                Others = others(),
                Batch = batches[0].Name,
            };
        }
        finally
        {
            Array.ForEach(batches, batch => batch.Dispose());
        }
    });

    /// <inheritdoc />
    public IReadOnlyDictionary<string, double> Evaluate()
    {
        _average?.Swap();
        try
        {
            var measured = Measure();
            return ZeroShot is null ? measured : new OrderedDictionary<string, double>([.. measured, .. ZeroShot.Run(Model, Epochs)]);
        }
        finally
        {
            _average?.Swap();
        }
    }

    /// <summary>Ends the training: the model takes the averaged weights where an average was kept.</summary>
    public void Finish() => _average?.Swap();

    /// <inheritdoc />
    public virtual void Dispose()
    {
        GC.SuppressFinalize(this);
        _reader.Dispose();
        _optimizer.Dispose();
        _average?.Dispose();
        Stopping?.Dispose();
    }

    /// <summary>
    /// The configuration with the batch of all processes in place of one's: everything but who computes what follows from it, and so it
    /// is what a checkpoint belongs to.
    /// </summary>
    private protected static T Together<T>(T config, IProcessGroup processes)
        where T : ClipTrainingConfig => (T)((ClipTrainingConfig)config with { BatchSize = config.BatchSize * processes.Size });

    /// <summary>How the layers of a training run.</summary>
    internal static ILayerTransform? Precision(ClipTrainingConfig config) => config.Precision switch
    {
        TrainingPrecision.Fp32 => null,
        TrainingPrecision.AmpBf16 => new Bf16Precision(),
        _ => throw new UnreachableException(),
    };

    /// <summary>Adds the gradients of a step to the parameters.</summary>
    /// <param name="batches">Its micro-batches.</param>
    /// <param name="random">Draws the dropped patches; the same stream draws the same ones.</param>
    /// <returns>The loss, detached, and what else to log, asked for after the step.</returns>
    internal abstract (Tensor Loss, Func<IReadOnlyDictionary<string, Tensor>> Others) Differentiate(ClipBatch[] batches, CounterRandom random);

    /// <summary>Mends the weights after a step of the optimiser.</summary>
    internal virtual void AfterStep()
    {
    }

    /// <summary>Measures the model as it is.</summary>
    internal abstract IReadOnlyDictionary<string, double> Measure();

    // A training that has taken no step here was at its end already.
    private double Epochs => (_taken ?? Steps) / (double)StepsPerEpoch;

    // With sharpness-aware minimisation the gradient is that of a second pass, uphill, with the same patches dropped. Each of several processes
    // climbs by its own gradient (Foret et al. 2021, "m-sharpness"); the second gradients are averaged.
    private (Tensor Loss, Func<IReadOnlyDictionary<string, Tensor>> Others) Climb(ClipBatch[] batches, long step)
    {
        var passes = 0;
        (Tensor Loss, Func<IReadOnlyDictionary<string, Tensor>> Others) Pass()
        {
            // The first pass has moved BatchNorm's statistics already.
            KeepStatistics(passes++ > 0);
            return Differentiate(batches, CounterRandom.Of(_config.Seed, purpose: 402, step));
        }

        void BeforeLast()
        {
            // Gradients of several micro-batches are complete after the last one alone.
            if (batches.Length == 1)
            {
                Gradients.Begin();
            }
        }

        var first = SamTraining.Passes(_sharpness, Pass, BeforeLast);
        KeepStatistics(false);
        return first;
    }

    private void KeepStatistics(bool keep)
    {
        if (Model.ImageTower is ModifiedResNet network)
        {
            network.KeepsStatistics = keep;
        }
    }

    private ClipBatch[] Read(long step)
    {
        var (epoch, position) = Math.DivRem(step, StepsPerEpoch);
        var first = (epoch * _reader.BatchesPerEpoch) + (position * _config.AccumFreq);
        var device = Model.ImageTower.Placement.Device;
        return [.. Enumerable.Range(0, _config.AccumFreq).Select(index => _reader.Read(first + index).To(device))];
    }

    private LearningRateSchedule Schedule(ClipTrainingConfig config) => config.LrScheduler switch
    {
        ScheduleKind.Cosine => new CosineSchedule(config.Lr, config.Warmup, Steps),
        ScheduleKind.Const => new ConstantSchedule(config.Lr, config.Warmup),
        ScheduleKind.ConstCooldown => new CooldownSchedule(
            config.Lr, config.Warmup, Steps, (long)config.EpochsCooldown * StepsPerEpoch, config.LrCooldownPower, config.LrCooldownEnd),
        ScheduleKind.EpochCosine => new EpochCosineSchedule(
            config.Lr, config.WarmupEpochs, config.Epochs, StepsPerEpoch, config.WarmupLr, config.MinLr),
        _ => throw new UnreachableException(),
    };
}
