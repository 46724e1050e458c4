using System.Text.Json.Serialization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Memory;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// Distillation of a CLIP model into a student with memory layers, as its JSON file says: the fields of a CLIP training, with the defaults
/// of memory-augmented CLIP, and those below. <see cref="ClipTrainingConfig.Pretrained"/> is the teacher.
/// </summary>
public sealed record DistillTrainingConfig : ClipTrainingConfig
{
    /// <summary>The defaults where they differ from CLIP's.</summary>
    public DistillTrainingConfig() =>
        (UseMemory, MemoryLayers, Wd, Warmup, ValFrequency, SaveFrequency) = (true, AutomaticLayers, 0.1, 1000, 1, 1);

    /// <summary>How far features are apart: <c>mse</c>, <c>l2</c> or <c>cosine</c>.</summary>
    public string LossType { get; init; } = "mse";

    /// <summary>Whether the teacher's features of all training images are computed once, before the first step; images must then be alike in every epoch.</summary>
    public bool CacheTeacher { get; init; }

    /// <summary>Whether gradients of micro-batches are added instead of averaged and the last loss is logged, as in the released code.</summary>
    public bool SumGradients { get; init; }

    /// <summary>Evaluations without improvement that end the training; 0 never ends it.</summary>
    public int EarlyStopPatience { get; init; }

    /// <summary>By how much an evaluation has to be better to count as improved.</summary>
    public double EarlyStopMinDelta { get; init; }

    /// <summary>The number of the evaluation that early stopping watches.</summary>
    public string EarlyStopMetric { get; init; } = "clip_val_loss";

    /// <summary>The objective.</summary>
    [JsonIgnore]
    public FeatureLoss Objective => FeatureLosses.All.Find(LossType);

    /// <summary>The rule of early stopping.</summary>
    [JsonIgnore]
    public EarlyStopping Stopping => new(EarlyStopMetric, EarlyStopPatience, EarlyStopMinDelta);

    /// <inheritdoc />
    [JsonIgnore]
    public override string Command => "train distill";

    /// <inheritdoc />
    public override void Validate(string source)
    {
        base.Validate(source);
        _ = Objective;
        Refuse(source, Pretrained is not null, "pretrained", "missing", "given: it is the teacher");
        Refuse(source, UseMemory, "use_memory", false, "true: distillation trains memory layers");
        Refuse(source, TrainOnlyMemory, "train_only_memory", false, "true: a distilled student keeps its teacher's other parameters");
        Refuse(source, !LockImage && !LockText, "lock_image", true, "false, as `lock_text`: distillation trains the memory layers alone");
        Refuse(source, Accumulation == AccumulationKind.CachedFeatures, "accumulation", "gradients", "left out: distillation averages micro-batches, or adds them (`sum_gradients`)");
        Refuse(source, !Pools, "boundary_tower", BoundaryTower ?? "null", "left out, as `boundary_text`: distillation trains memory layers alone");
        Refuse(source, EarlyStopPatience >= 0, "early_stop_patience", EarlyStopPatience, "0 or more");
        Refuse(source, EarlyStopMinDelta >= 0, "early_stop_min_delta", EarlyStopMinDelta, "0 or more");
        Refuse(
            source,
            !CacheTeacher || Augmentation.IsNone,
            "cache_teacher",
            true,
            "false where images change from epoch to epoch: set `crop_scale` and `color_jitter` to null (--crop-scale none) and `gray_scale_prob` to 0");
    }
}

/// <summary>
/// Finetuning of a student with memory layers on long captions, as its JSON file says: the fields of a CLIP training, with the defaults of
/// memory-augmented CLIP, and those below.
/// </summary>
public sealed record FinetuneTrainingConfig : ClipTrainingConfig
{
    /// <summary>The defaults where they differ from CLIP's.</summary>
    public FinetuneTrainingConfig() =>
        (UseMemory, Lr, Wd, Warmup, Epochs, TrainOnlyMemory, ValueFixedLr, ValFrequency, SaveFrequency) = (true, 1e-5, 0.1, 1000, 10, false, null, 1, 1);

    /// <summary>The distilled student, a model folder or weight file; its vision tower is trained on.</summary>
    public required string StudentModel { get; init; }

    /// <summary>Weight of the contrastive term of whole captions.</summary>
    public double LongWeight { get; init; } = 0.8;

    /// <summary>Weight of the term of their first sentences; 0 leaves it out.</summary>
    public double ShortWeight { get; init; } = 0.2;

    /// <inheritdoc />
    [JsonIgnore]
    public override string Command => "train finetune";

    /// <inheritdoc />
    [JsonIgnore]
    public override ValueList<double> CaptionWeights => ShortWeight > 0 ? [LongWeight, ShortWeight] : [LongWeight];

    /// <inheritdoc />
    [JsonIgnore]
    public override IReadOnlyList<Func<string, string>> Captions => ShortWeight > 0 ? [static text => text, FirstSentence] : [static text => text];

    /// <inheritdoc />
    [JsonIgnore]
    protected override bool HasOwnArchitecture => true;

    /// <summary>The text before the first full stop, or the whole text where there is none.</summary>
    public static string FirstSentence(string caption) =>
        caption.IndexOf('.', StringComparison.Ordinal) is > 0 and var stop && caption[..stop].Trim() is { Length: > 0 } sentence ? sentence : caption;

    /// <inheritdoc />
    public override void Validate(string source)
    {
        base.Validate(source);
        Refuse(source, !Pools, "boundary_tower", BoundaryTower ?? "null", "left out, as `boundary_text`: finetuning goes on with the towers that there are");
        Refuse(source, LongWeight > 0, "long_weight", LongWeight, "above 0");
        Refuse(source, ShortWeight >= 0, "short_weight", ShortWeight, "0 or more");
        Refuse(source, UseMemory, "use_memory", false, "true: the student has memory layers");
        Refuse(source, !TrainOnlyMemory, "train_only_memory", true, "false: finetuning trains all that is not locked");
    }
}

/// <summary>What an image of a set of pairs is, where texts and images find each other.</summary>
public enum PairGrouping
{
    /// <summary>Every pair has an image of its own.</summary>
    Sharegpt4v,

    /// <summary>An image has several captions: those whose address or path has the same twelve digits before <c>.jpg</c>.</summary>
    Mscoco,
}
