using System.Diagnostics;
using RegCache.Lab.Distributed;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Language;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.Language;

/// <summary>Trains a language model with dynamic token pooling (docs/methods/dynamic-pooling.md, "Training").</summary>
public sealed class LmTask : ITrainingTask, IDisposable
{
    private const long DropoutPurpose = 607;
    private readonly LmTrainingConfig _config;
    private readonly TextStreams _train, _validation;
    private readonly Optimizer _optimizer;
    private readonly GradientAverage _gradients;
    private readonly SamTraining? _sharpness;
    private readonly WeightAverage? _average;
    private readonly torch.Device _device;
    private readonly IWorkProgress _progress;
    private readonly CancellationToken _cancellation;
    private readonly IProcessGroup _processes;
    private (long Pass, int[] Shifts, int[] Order)? _pass;

    /// <summary>Cuts the text into streams and draws the weights.</summary>
    /// <param name="config">The training.</param>
    /// <param name="corpus">The text.</param>
    /// <param name="unigram">The Unigram vocabulary, for boundaries that need it.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="progress">Told of evaluations.</param>
    /// <param name="processes">The processes that train together, each with as many of the configuration's streams; null for one.</param>
    /// <param name="cancellation">Stops evaluations.</param>
    /// <exception cref="UserException">The text is too short, or the configuration impossible.</exception>
    public LmTask(
        LmTrainingConfig config, TextCorpus corpus, UnigramModel? unigram, torch.Device device, IWorkProgress progress, IProcessGroup? processes = null,
        CancellationToken cancellation = default)
    {
        (_config, _device, _progress, _cancellation, _processes) = (config, device, progress, cancellation, processes ?? SingleProcess.Instance);
        if (config.BatchSize % (config.BatchChunk * _processes.Size) != 0)
        {
            throw new UserException(
                $"The {config.BatchSize} streams of `batch_size` are those of all processes together, but {_processes.Size} processes with `batch_chunk` {config.BatchChunk} cannot share them evenly; choose a multiple of {config.BatchChunk * _processes.Size}.");
        }

        var architecture = config.Architecture(corpus.Vocabulary.Count);
        var boundaries = architecture.Type.OfText?.Invoke(new(corpus.Vocabulary, architecture.FixedFactor, unigram));
        _train = new(corpus.Train, config.BatchSize, config.TgtLen, context: 0, boundaries, "training");
        _validation = config.Evaluation.Streams(corpus.Validation, boundaries, "validation");
        var drawn = DynamicPoolingLm.Initialize(architecture, config.Seed);
        var model = device.type == DeviceType.CPU ? drawn : new DynamicPoolingLm(architecture, drawn.Weights.Place(device, torch.ScalarType.Float32));
        Folder = new(model, new(architecture, corpus.Vocabulary.Symbols, config.TgtLen), unigram);
        Model.RequireGradients();
        _optimizer = Optimizers.All.Find(config.Opt).Make(
            ParameterGroups.Of(Model.Weights, config.Wd), new(config.AdamB1, config.AdamB2, config.AdamEps, config.Momentum));
        _gradients = new(_processes, _optimizer.Parameters);
        _sharpness = config.Sharpness is { } sharpness ? new([.. Model.Weights.Parameters.Select(pair => pair.Value)], sharpness) : null;
        _average = config.EmaDecay is { } decay ? new(Model.Weights, decay) : null;
        Fingerprint = ContentHash.OfValue(new
        {
            config = config with { Data = "", EvalInterval = 0, LogInterval = 1, SaveInterval = 0 }, corpus.Fingerprint, unigram = unigram?.Pieces,
        });
    }

    /// <summary>The model with what belongs to it.</summary>
    public LmModelFolder Folder { get; }

    /// <summary>The model.</summary>
    public DynamicPoolingLm Model => Folder.Model;

    /// <summary>How often the training logs, measures and saves.</summary>
    public TrainingLoopOptions Loop => new() { LogEvery = _config.LogInterval, EvaluateEvery = _config.EvalInterval, SaveEvery = _config.SaveInterval };

    /// <inheritdoc />
    public long Steps => _config.MaxStep;

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        Model.Weights.Names.Select(name => KeyValuePair.Create($"model.{name}", Model.Weights[name])).Concat(_optimizer.State).Concat(_average?.State ?? []);

    /// <inheritdoc />
    public void Prepare(long step) => _optimizer.Resume(step);

    /// <inheritdoc />
    public StepMetrics Step(long step) => TensorScope.Run(() =>
    {
        var (pass, place) = (step / _train.Chunks, (int)(step % _train.Chunks));
        if (_pass?.Pass != pass)
        {
            _pass = (
                pass,
                _config.Roll ? _train.Shifts(_config.Seed, pass) : new int[_train.Batch],
                _config.Shuffle ? _train.Order(_config.Seed, pass) : [.. Enumerable.Range(0, _train.Chunks)]);
        }

        var number = _pass.Value.Order[place];
        var chunk = _train.Chunk(number, _pass.Value.Shifts);
        var (length, share) = (chunk.Data.shape[0], _train.Batch / _processes.Size);
        var noise = Model.Config.Type.IsDrawn ? BoundaryNoise.Draw(_config.Seed, step, _train.Batch, length) : null;
        _optimizer.ZeroGradients();
        var outcome = SamTraining.Passes(_sharpness, () => Differentiate(chunk, noise, step), () =>
        {
            // Gradients of several parts of a batch are complete after the last one alone.
            if (_config.BatchChunk == 1)
            {
                _gradients.Begin();
            }
        });

        var rate = _config.Schedule.At(step);
        _gradients.End();
        var norm = _optimizer.GradientNorm();
        _optimizer.Step(rate, norm, _config.Clip);
        _average?.Update();
        var losses = outcome.Losses;
        var character = losses.Select(pair => pair.Loss).Aggregate((sum, loss) => sum + loss);
        var byBoundaries = losses.Select(pair => pair.Boundary).Aggregate((sum, loss) => sum + loss);
        var others = new OrderedDictionary<string, Tensor>
        {
            ["train/bpc"] = character / Math.Log(2),
            ["train/characters_per_step"] = torch.tensor((double)chunk.Target.NumberOfElements),
            ["train/peak_memory_mb"] = torch.tensor(Process.GetCurrentProcess().PeakWorkingSet64 / (double)(1 << 20)),
        };
        if (Model.Config.Type.Pools)
        {
            others["train/shortening_factor"] = torch.tensor((double)length * share / Math.Max(1, outcome.Boundaries));
            others["train/pooled_length"] = torch.tensor((double)outcome.Rows / _config.BatchChunk);
        }

        if (outcome.Match is { } match)
        {
            others["train/boundary_loss"] = byBoundaries;
            others["train/boundary_precision"] = torch.tensor(match.Precision);
            others["train/boundary_recall"] = torch.tensor(match.Recall);
        }

        return new StepMetrics(character + byBoundaries, rate, share) { GradientNorm = norm, Others = others, Batch = $"chunk {number} of pass {pass}" };
    });

    /// <inheritdoc />
    public IReadOnlyDictionary<string, double> Evaluate()
    {
        _average?.Swap();
        try
        {
            return Numbers("val", (_config.Evaluation with { Processes = _processes }).Run(Model, _validation, _progress, _cancellation));
        }
        finally
        {
            _average?.Swap();
        }
    }

    /// <summary>Ends the training: the model takes the averaged weights where an average was kept.</summary>
    public void Finish() => _average?.Swap();

    /// <summary>A score as numbers by name.</summary>
    public static IReadOnlyDictionary<string, double> Numbers(string part, LmScore score)
    {
        var numbers = new OrderedDictionary<string, double> { [$"{part}/loss"] = score.Loss, [$"{part}/bpc"] = score.BitsPerCharacter };
        if (score.ShorteningFactor is { } factor)
        {
            numbers[$"{part}/shortening_factor"] = factor;
        }

        if (score.Match is { } match)
        {
            numbers[$"{part}/boundary_precision"] = match.Precision;
            numbers[$"{part}/boundary_recall"] = match.Recall;
        }

        return numbers;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _optimizer.Dispose();
        _average?.Dispose();
        Folder.Dispose();
    }

    // Adds the gradients of a chunk to the parameters, part by part; called again it draws the same dropout and boundaries.
    private Outcome Differentiate(TextChunk chunk, Tensor? noise, long step)
    {
        // Dropout draws from libtorch's own generator; begun anew in every step, it goes on after a kill as if there had been none.
        var dropout = CounterRandom.Of(_config.Seed, DropoutPurpose, step);
        torch.random.manual_seed((long)((_processes.Rank == 0 ? dropout : dropout.Fork(_processes.Rank)).NextBits() >> 1));
        var share = _train.Batch / _processes.Size;
        var part = share / _config.BatchChunk;
        var losses = new List<(Tensor Loss, Tensor Boundary)>();
        var (rows, boundaries) = (0L, 0L);
        BoundaryMatch? match = null;
        for (var first = share * _processes.Rank; first < share * (_processes.Rank + 1); first += part)
        {
            var (loss, boundary) = TensorScope.Run(() =>
            {
                Tensor Part(Tensor whole, int dimension) => whole.narrow(dimension, first, part).contiguous().to(_device);
                using var output = Model.Forward(new(Part(chunk.Data, 1))
                {
                    Target = Part(chunk.Target, 1),
                    Boundaries = chunk.Boundaries is null ? null : Part(chunk.Boundaries, 1),
                    Noise = noise is null ? null : Part(noise, 0),
                    Dropout = new(_config.Dropout, _config.Dropatt),
                    Mark = _gradients.Mark,
                });
                var mean = output.Loss!.mean();
                ((mean + output.BoundaryLoss) / _config.BatchChunk).backward();
                rows += output.PooledLength;
                boundaries += output.Boundaries?.sum().item<long>() ?? 0;
                match = output.Match() is { } more ? (match ?? BoundaryMatch.Empty).Plus(more) : null;
                return (mean.detach() / _config.BatchChunk, output.BoundaryLoss.detach() / _config.BatchChunk);
            });
            losses.Add((loss, boundary));
        }

        return new(losses, rows, boundaries, match);
    }

    // Losses of the parts of a batch, rows of their pooled sequences, and how boundaries came out.
    private sealed record Outcome(List<(Tensor Loss, Tensor Boundary)> Losses, long Rows, long Boundaries, BoundaryMatch? Match);
}
