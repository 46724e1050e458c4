using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using RegCache.Lab.Pooling.Language;

namespace RegCache.Lab.Training.Language;

/// <summary>
/// The training of a language model. The fields have the names and defaults of upstream's YAML files (docs/methods/dynamic-pooling.md, "Training");
/// those behind <see cref="LogInterval"/> are the kit's own.
/// </summary>
public sealed partial record LmTrainingConfig
{
    /// <summary>Folder with train.txt, valid.txt and test.txt, or one file that is split.</summary>
    public required string Data { get; init; }

    /// <summary>Name of the data set; only told.</summary>
    public string Dataset { get; init; } = "text8";

    /// <summary>Channels.</summary>
    public int DModel { get; init; } = 512;

    /// <summary>Attention heads.</summary>
    public int NHead { get; init; } = 8;

    /// <summary>Channels of a head.</summary>
    public int DHead { get; init; } = 64;

    /// <summary>Channels inside the MLPs.</summary>
    public int DInner { get; init; } = 2048;

    /// <summary>Share of values that training drops.</summary>
    public double Dropout { get; init; } = 0.1;

    /// <summary>Share of attention probabilities that training drops.</summary>
    public double Dropatt { get; init; } = 0.1;

    /// <summary>Layers before, on, and after the pooled sequence: "[2, (8,), 2]".</summary>
    public string ModelConfig { get; init; } = "[2, (8,), 2]";

    /// <summary>Whether a pass reads its chunks in random order.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Whether every pass begins with streams turned by a random amount.</summary>
    public bool Roll { get; init; } = true;

    /// <summary>How boundaries are found.</summary>
    public string BoundariesType { get; init; } = "gumbel";

    /// <summary>File of a Unigram vocabulary; null trains one of <see cref="UnigramSize"/> pieces on the training text, where the type needs it.</summary>
    public string? TokenizerPath { get; init; }

    /// <summary>Characters between two fixed boundaries.</summary>
    public int FixedSf { get; init; } = 2;

    /// <summary>Earlier positions that an entropy spike exceeds.</summary>
    public int SpikesLeft { get; init; } = 2;

    /// <summary>Temperature of drawn boundaries.</summary>
    public double Temp { get; init; } = 0.5;

    /// <summary>Rate of drawn boundaries.</summary>
    public double Prior { get; init; } = 0.2;

    /// <summary>Steps between two evaluations.</summary>
    public int EvalInterval { get; init; } = 10_000;

    /// <summary>Chunks after which an evaluation ends.</summary>
    public int EvalMaxSteps { get; init; } = 500;

    /// <summary>Characters that a chunk of the evaluation scores.</summary>
    public int EvalTgtLen { get; init; } = 512;

    /// <summary>Characters that it reads at most.</summary>
    public int EvalTotalLen { get; init; } = 2048;

    /// <summary>Learning rate after the warm-up.</summary>
    public double Lr { get; init; } = 2.5e-4;

    /// <summary>Steps of the warm-up.</summary>
    public long WarmupStep { get; init; } = 4000;

    /// <summary>Gradients are scaled down to this norm.</summary>
    public double Clip { get; init; } = 0.25;

    /// <summary>Decay of the first moment.</summary>
    public double AdamB1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    public double AdamB2 { get; init; } = 0.999;

    /// <summary>Added to the root of the second moment.</summary>
    public double AdamEps { get; init; } = 1e-8;

    /// <summary>Optimiser steps.</summary>
    public long MaxStep { get; init; } = 200_000;

    /// <summary>Characters of a chunk.</summary>
    public int TgtLen { get; init; } = 2048;

    /// <summary>Streams.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>Parts of a batch that are computed one after the other, to save memory.</summary>
    public int BatchChunk { get; init; } = 1;

    /// <summary>Steps between two log lines.</summary>
    public int LogInterval { get; init; } = 100;

    /// <summary>Steps between two checkpoints.</summary>
    public int SaveInterval { get; init; } = 1000;

    /// <summary>Streams of an evaluation; null: as in training.</summary>
    public int? EvalBatchSize { get; init; }

    /// <summary>Pieces of a Unigram vocabulary that is trained.</summary>
    public int UnigramSize { get; init; } = 5000;

    /// <summary>Whether the supervised boundary loss takes the sigmoid twice, as upstream does.</summary>
    public bool LegacyBoundaryLoss { get; init; }

    /// <summary>Whether evaluation draws boundaries, too, as upstream does.</summary>
    public bool SampleInEval { get; init; }

    /// <summary>Whether the first step has the full learning rate, as upstream's has.</summary>
    public bool LegacyFirstStep { get; init; }

    /// <summary>The optimiser: <c>adamw</c>, which is upstream's Adam while <see cref="Wd"/> is 0, <c>lamb</c> or <c>sgd</c>.</summary>
    public string Opt { get; init; } = "adamw";

    /// <summary>Momentum of <c>sgd</c>.</summary>
    public double Momentum { get; init; } = 0.9;

    /// <summary>Weight decay of matrices.</summary>
    public double Wd { get; init; }

    /// <summary>Radius of sharpness-aware minimisation; null trains the ordinary way.</summary>
    public double? SamRho { get; init; }

    /// <summary>Whether every parameter climbs in proportion to its own magnitude.</summary>
    public bool SamAdaptive { get; init; }

    /// <summary>Decay of the moving average of the weights, which is then evaluated and saved; null keeps none.</summary>
    public double? EmaDecay { get; init; }

    /// <summary>Seed of weights, noise and order.</summary>
    public long Seed { get; init; } = 1111;

    /// <summary>The evaluation.</summary>
    [JsonIgnore]
    public LmEvaluation Evaluation => new(EvalTgtLen, EvalTotalLen, EvalBatchSize ?? BatchSize, EvalMaxSteps) { DrawingSeed = SampleInEval ? Seed : null };

    /// <summary>Sharpness-aware minimisation; null trains the ordinary way.</summary>
    [JsonIgnore]
    public SamOptions? Sharpness => SamRho is { } radius ? new(radius, SamAdaptive) : null;

    /// <summary>The learning rate.</summary>
    [JsonIgnore]
    public LmSchedule Schedule => new(Lr, WarmupStep, MaxStep, LegacyFirstStep);

    /// <summary>The architecture.</summary>
    /// <param name="symbols">Symbols of the vocabulary.</param>
    /// <exception cref="UserException">A field is impossible.</exception>
    public DynamicPoolingConfig Architecture(int symbols)
    {
        var layers = Layers().Match(ModelConfig) is { Success: true } match
            ? match.Groups.Values.Skip(1).Select(group => int.Parse(group.ValueSpan)).ToArray()
            : throw new UserException($"`model_config` is {ModelConfig}, but must be three numbers of layers, as in \"[2, (8,), 2]\".");
        return new DynamicPoolingConfig
        {
            Vocabulary = symbols,
            Width = DModel,
            Heads = NHead,
            HeadWidth = DHead,
            Inner = DInner,
            LayersBefore = layers[0],
            LayersPooled = layers[1],
            LayersAfter = layers[2],
            Boundaries = BoundariesType,
            FixedFactor = FixedSf,
            SpikeWindow = SpikesLeft,
            Temperature = Temp,
            Prior = Prior,
            LegacyBoundaryLoss = LegacyBoundaryLoss,
        }.Validated();
    }

    /// <summary>Checks what no part checks by itself.</summary>
    /// <exception cref="UserException">A field is impossible; the message names it.</exception>
    public LmTrainingConfig Validated()
    {
        Architecture(symbols: 2);
        var least = new (string Name, double Value, double Least)[]
        {
            ("max_step", MaxStep, 1), ("tgt_len", TgtLen, 1), ("batch_size", BatchSize, 1), ("batch_chunk", BatchChunk, 1), ("warmup_step", WarmupStep, 0),
            ("eval_tgt_len", EvalTgtLen, 1), ("eval_total_len", EvalTotalLen, EvalTgtLen), ("eval_max_steps", EvalMaxSteps, 1), ("log_interval", LogInterval, 1),
            ("eval_interval", EvalInterval, 0), ("save_interval", SaveInterval, 0), ("eval_batch_size", EvalBatchSize ?? 1, 1), ("unigram_size", UnigramSize, 2),
            ("wd", Wd, 0),
        };
        foreach (var (name, value, minimum) in least.Where(field => field.Value < field.Least))
        {
            throw new UserException($"`{name}` is {value}, but must be at least {minimum}.");
        }

        var positive = new (string Name, double Value)[] { ("lr", Lr), ("clip", Clip), ("adam_eps", AdamEps), ("sam_rho", SamRho ?? 1) };
        foreach (var (name, value) in positive.Where(field => !(field.Value > 0 && double.IsFinite(field.Value))))
        {
            throw new UserException($"`{name}` is {value}, but must be a number above 0.");
        }

        var shares = new (string Name, double Value)[] { ("dropout", Dropout), ("dropatt", Dropatt), ("adam_b1", AdamB1), ("adam_b2", AdamB2), ("momentum", Momentum), ("ema_decay", EmaDecay ?? 0) };
        foreach (var (name, value) in shares.Where(field => !(field.Value >= 0 && field.Value < 1)))
        {
            throw new UserException($"`{name}` is {value}, but must be at least 0 and below 1.");
        }

        _ = Optimizers.All.Find(Opt);
        if (SamAdaptive && SamRho is null)
        {
            throw new UserException("`sam_adaptive` is true, which needs a radius: give `sam_rho`, too.");
        }

        return BatchSize % BatchChunk == 0
            ? this
            : throw new UserException($"`batch_chunk` is {BatchChunk}, which does not divide the {BatchSize} streams of `batch_size`.");
    }

    [GeneratedRegex(@"^\s*\[\s*(\d{1,4})\s*,\s*\(\s*(\d{1,4})\s*,?\s*\)\s*,\s*(\d{1,4})\s*\]\s*$")]
    private static partial Regex Layers();
}

/// <summary>
/// Upstream's learning rate: a linear warm-up that lags one step behind, then a half cosine to zero. Its very first step has the full rate, because the
/// warm-up is set after it; that step has the lowest rate here, unless <paramref name="LegacyFirstStep"/> asks for it.
/// </summary>
/// <param name="Base">The learning rate after the warm-up.</param>
/// <param name="WarmupSteps">Steps of the warm-up.</param>
/// <param name="TotalSteps">Steps of the whole training.</param>
/// <param name="LegacyFirstStep">Whether the first step has the full rate.</param>
public sealed record LmSchedule(double Base, long WarmupSteps, long TotalSteps, bool LegacyFirstStep)
{
    /// <summary>The learning rate of a step, counted from 0.</summary>
    public double At(long step) =>
        step == 0 ? (LegacyFirstStep || WarmupSteps == 0 ? Base : Base / WarmupSteps)
        : step < WarmupSteps ? Base * step / WarmupSteps
        : TotalSteps <= WarmupSteps ? Base
        : 0.5 * Base * (1 + Math.Cos(Math.PI * (step - WarmupSteps) / (TotalSteps - WarmupSteps)));
}
