using System.Diagnostics;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.Clip;

/// <summary>CLIP training on image-text pairs with the contrastive loss, as OpenCLIP does it (docs/methods/clip.md).</summary>
public sealed class ClipTask : ITrainingTask, IDisposable
{
    private static readonly double _maxLogitScale = Math.Log(100);

    private readonly ClipTrainingConfig _config;
    private readonly ClipBatchReader _reader;
    private readonly ClipGradients _gradients;
    private readonly SamTraining? _sharpness;
    private readonly AdamW _optimizer;
    private readonly LearningRateSchedule _schedule;
    private readonly WeightAverage? _average;
    private readonly PairEvaluation? _evaluation;

    /// <summary>Prepares a training. The caller keeps the model, the pairs and the tokenizer and disposes them.</summary>
    /// <param name="model">The model; all of its tensors are trained.</param>
    /// <param name="train">The pairs.</param>
    /// <param name="validation">Pairs for the evaluation, or null.</param>
    /// <param name="preprocess">How images become input.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="config">The training, as its file says.</param>
    /// <exception cref="UserException">The configuration does not fit the data.</exception>
    public ClipTask(
        ClipModel model,
        IPairSource train,
        IPairSource? validation,
        PreprocessOptions preprocess,
        ITokenizer tokenizer,
        ClipTrainingConfig config)
    {
        (Model, _config) = (model, config);
        foreach (var name in model.Weights.Names)
        {
            model.Weights[name].requires_grad = true;
        }

        _reader = new(new(train, preprocess, tokenizer, config.Augmentation), config.BatchSize, config.Seed);
        StepsPerEpoch = _reader.BatchesPerEpoch / config.AccumFreq;
        if (StepsPerEpoch == 0)
        {
            throw new UserException(
                $"`accum_freq` {config.AccumFreq} times `batch_size` {config.BatchSize} is more than the {train.Count} pairs of an epoch; " +
                "lower one of them.");
        }

        _gradients = new(model, new()
        {
            Accumulation = config.Accumulation,
            GradientCheckpointing = config.GradCheckpointing,
            PatchDropout = config.PatchDropout,
            Precision = config.Precision switch
            {
                TrainingPrecision.Fp32 => null,
                TrainingPrecision.AmpBf16 => new Bf16Precision(),
                _ => throw new UnreachableException(),
            },
        });
        _sharpness = config.Sharpness is { } sharpness ? new([.. model.Weights.Names.Select(name => model.Weights[name])], sharpness) : null;
        _optimizer = new(ParameterGroups.Of(model.Weights, config.Wd), new(config.Beta1, config.Beta2, config.Eps));
        _schedule = Schedule(config);
        _average = config.EmaDecay is { } decay ? new(model.Weights, decay) : null;
        _evaluation = validation is null ? null : new(new(validation, preprocess, tokenizer, new()), config.BatchSize);
        Fingerprint = ContentHash.OfValue(new { config, train = train.Fingerprint, architecture = model.Config.ToString() });
    }

    /// <summary>The model that is trained.</summary>
    public ClipModel Model { get; }

    /// <summary>Optimiser steps of an epoch; micro-batches that fill no step are left out.</summary>
    public int StepsPerEpoch { get; }

    /// <inheritdoc />
    public long Steps => (long)StepsPerEpoch * _config.Epochs;

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        Model.Weights.Names.Select(name => KeyValuePair.Create($"model.{name}", Model.Weights[name]))
            .Concat(_optimizer.State)
            .Concat(_average?.State ?? []);

    /// <inheritdoc />
    public void Prepare(long step) => _optimizer.Resume(step);

    /// <inheritdoc />
    public StepMetrics Step(long step) => TensorScope.Run(() =>
    {
        var batches = Read(step);
        try
        {
            _optimizer.ZeroGradients();
            var loss = Differentiate(batches, step);
            var norm = _config.GradClipNorm is null ? null : _optimizer.GradientNorm();
            var rate = _schedule.At(step);
            _optimizer.Step(rate, norm, _config.GradClipNorm ?? double.PositiveInfinity);
            ClampLogitScale(Model);
            _average?.Update();
            return new StepMetrics(loss, rate, batches.Length * _config.BatchSize)
            {
                GradientNorm = norm,
                Others = new Dictionary<string, Tensor> { ["train/scale"] = Model.LogitScale!.detach().exp() },
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
        if (_evaluation is null)
        {
            return new Dictionary<string, double>();
        }

        _average?.Swap();
        try
        {
            return _evaluation.Run(Model);
        }
        finally
        {
            _average?.Swap();
        }
    }

    /// <summary>Ends the training: the model takes the averaged weights where an average was kept.</summary>
    public void Finish() => _average?.Swap();

    /// <inheritdoc />
    public void Dispose()
    {
        _reader.Dispose();
        _optimizer.Dispose();
        _average?.Dispose();
    }

    /// <summary>Keeps the logarithm of the logit scale between 0 and ln 100; every step ends with it.</summary>
    internal static void ClampLogitScale(ClipModel model)
    {
        using var noGradient = torch.no_grad();
        model.LogitScale!.clamp_(0, _maxLogitScale);
    }

    // With sharpness-aware minimisation the gradient is that of a second pass, uphill, with the same patches dropped.
    private Tensor Differentiate(ClipBatch[] batches, long step)
    {
        Tensor Pass() => _gradients.Accumulate(batches, CounterRandom.Of(_config.Seed, purpose: 402, step));
        var loss = Pass();
        if (_sharpness is not null)
        {
            using var climb = _sharpness.Climb();
            Pass().Dispose();
        }

        return loss;
    }

    private ClipBatch[] Read(long step)
    {
        var (epoch, position) = Math.DivRem(step, StepsPerEpoch);
        var first = (epoch * _reader.BatchesPerEpoch) + (position * _config.AccumFreq);
        var device = Model.Vision.Placement.Device;
        return
        [
            .. Enumerable.Range(0, _config.AccumFreq).Select(index =>
            {
                var batch = _reader.Read(first + index);
                if (device.type == DeviceType.CPU)
                {
                    return batch;
                }

                using (batch)
                {
                    return new ClipBatch(
                        batch.Images.to(device).DetachFromDisposeScope(), batch.TextIds.to(device).DetachFromDisposeScope(), batch.Name);
                }
            }),
        ];
    }

    private LearningRateSchedule Schedule(ClipTrainingConfig config) => config.LrScheduler switch
    {
        ScheduleKind.Cosine => new CosineSchedule(config.Lr, config.Warmup, Steps),
        ScheduleKind.Const => new ConstantSchedule(config.Lr, config.Warmup),
        ScheduleKind.ConstCooldown => new CooldownSchedule(
            config.Lr, config.Warmup, Steps, (long)config.EpochsCooldown * StepsPerEpoch, config.LrCooldownPower, config.LrCooldownEnd),
        _ => throw new UnreachableException(),
    };
}
