using System.Text.Json.Serialization;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Memory;
using RegCache.Lab.Training.Augmentation;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// A CLIP training from scratch or from given weights, as its JSON file says; see <see cref="TrainingConfigFile"/>. Distillation and
/// finetuning derive from it.
/// </summary>
public record ClipTrainingConfig : ClipPoolingConfig, ITrainingConfig
{
    /// <summary>The value of <see cref="MemoryLayers"/> that means every second block.</summary>
    public const string AutomaticLayers = "auto";

    /// <summary>Architecture: a name such as ViT-B-32, or the path of a configuration JSON; null: as <see cref="Pretrained"/> says.</summary>
    public string? Model { get; init; }

    /// <summary>Weight file or model folder to begin with; null begins with random weights.</summary>
    public string? Pretrained { get; init; }

    /// <summary>Where the model's tensors are in a checkpoint of several models, such as "model_ema"; null: wherever the only model is.</summary>
    public string? WeightsKey { get; init; }

    /// <summary>Whether the activation that the configuration names is kept even where the weights need another.</summary>
    public bool LiteralActivation { get; init; }

    /// <summary>Folder or file of the tokenizer's vocabulary; null: what lies beside the weights.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>
    /// Where the pairs are: tar shards with braces and <c>::</c>, a table <c>.csv</c> or <c>.tsv</c>, or the generated set: <c>shapes</c>,
    /// <c>shapes-long</c>, <c>shapes@calibration</c>.
    /// </summary>
    public required string TrainData { get; init; }

    /// <summary>Pairs for the evaluation, written like <see cref="TrainData"/>; null evaluates nothing.</summary>
    public string? ValData { get; init; }

    /// <summary>What an image of the evaluation's pairs is: <c>sharegpt4v</c>, one pair each, or <c>mscoco</c>, several captions an image.</summary>
    public PairGrouping DatasetName { get; init; } = PairGrouping.Sharegpt4v;

    /// <summary>
    /// Labelled images, as <see cref="ImageSetFormats"/> names sets, whose zero-shot accuracy every evaluation measures: after every epoch where nothing
    /// says how often. Null measures none.
    /// </summary>
    public string? ImagenetVal { get; init; }

    /// <summary>File of names and templates of their classes, or of templates alone; null: the set's own. Used with <see cref="ImagenetVal"/> only.</summary>
    public string? Prompts { get; init; }

    /// <summary>What separates the columns of a table, one ASCII character.</summary>
    public string CsvSeparator { get; init; } = "\t";

    /// <summary>The column of a table that holds the images' paths.</summary>
    public string CsvImgKey { get; init; } = "filepath";

    /// <summary>The column of a table that holds the captions.</summary>
    public string CsvCaptionKey { get; init; } = "title";

    /// <summary>Number of generated pairs; used with the generated set only.</summary>
    public int TrainNumSamples { get; init; } = 40_000;

    /// <summary>Number of generated pairs of the evaluation; used with the generated set only.</summary>
    public int ValNumSamples { get; init; } = 500;

    /// <summary>Passes over the pairs.</summary>
    public int Epochs { get; init; } = 32;

    /// <summary>Pairs in a micro-batch.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Micro-batches in an optimiser step.</summary>
    public int AccumFreq { get; init; } = 1;

    /// <summary>How micro-batches are put together.</summary>
    public AccumulationKind Accumulation { get; init; } = AccumulationKind.CachedFeatures;

    /// <summary>Learning rate after the warm-up.</summary>
    public double Lr { get; init; } = 5e-4;

    /// <summary>The optimiser: <c>adamw</c>, <c>lamb</c> or <c>sgd</c>.</summary>
    public string Opt { get; init; } = "adamw";

    /// <summary>Momentum of <c>sgd</c>.</summary>
    public double Momentum { get; init; } = 0.9;

    /// <summary>Decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    public double Beta2 { get; init; } = 0.98;

    /// <summary>Added to the root of the second moment.</summary>
    public double Eps { get; init; } = 1e-6;

    /// <summary>Weight decay of matrices.</summary>
    public double Wd { get; init; } = 0.2;

    /// <summary>Optimiser steps of the warm-up.</summary>
    public long Warmup { get; init; } = 10_000;

    /// <summary>The course of the learning rate after the warm-up.</summary>
    public ScheduleKind LrScheduler { get; init; } = ScheduleKind.Cosine;

    /// <summary>Epochs of the warm-up of <see cref="ScheduleKind.EpochCosine"/>, part of <see cref="Epochs"/>.</summary>
    public int WarmupEpochs { get; init; } = 5;

    /// <summary>Learning rate of the first of them.</summary>
    public double WarmupLr { get; init; } = 1e-6;

    /// <summary>Learning rate that <see cref="ScheduleKind.EpochCosine"/> falls to.</summary>
    public double MinLr { get; init; } = 1e-5;

    /// <summary>Epochs of the cool-down of <see cref="ScheduleKind.ConstCooldown"/>.</summary>
    public int EpochsCooldown { get; init; }

    /// <summary>Learning rate at the end of the cool-down.</summary>
    public double LrCooldownEnd { get; init; }

    /// <summary>Power of the cool-down.</summary>
    public double LrCooldownPower { get; init; } = 1;

    /// <summary>Gradients are scaled down to this norm; null clips nothing.</summary>
    public double? GradClipNorm { get; init; }

    /// <summary>Radius of sharpness-aware minimisation; null trains the ordinary way.</summary>
    public double? SamRho { get; init; }

    /// <summary>Whether sharpness-aware minimisation is adaptive: every parameter climbs in proportion to its own magnitude.</summary>
    public bool SamAdaptive { get; init; }

    /// <summary>Whether the vision tower stays as it is.</summary>
    public bool LockImage { get; init; }

    /// <summary>Groups of the locked vision tower that are trained, counted from its end.</summary>
    public int LockImageUnlockedGroups { get; init; }

    /// <summary>Whether the text tower stays as it is.</summary>
    public bool LockText { get; init; }

    /// <summary>Groups of the locked text tower that are trained, counted from its end.</summary>
    public int LockTextUnlockedLayers { get; init; }

    /// <summary>Whether some blocks of the vision tower get memory layers in place of their MLPs.</summary>
    public bool UseMemory { get; init; }

    /// <summary>Their blocks, a comma list; "auto": every second one from block 2 on.</summary>
    public string MemoryLayers { get; init; } = "2";

    /// <summary>Sub-keys of each half of a query; the memory has the square of it in slots.</summary>
    public int MemNKeys { get; init; } = 8;

    /// <summary>Reading heads of a memory.</summary>
    public int MemHeads { get; init; } = 2;

    /// <summary>Slots that a head reads for a token.</summary>
    public int MemKnn { get; init; } = 4;

    /// <summary>Channels of a head's query, even.</summary>
    public int MemKDim { get; init; } = 256;

    /// <summary>Channels of a value; -1: the tower's width.</summary>
    public int MemVDim { get; init; } = 256;

    /// <summary>Whether what was read is gated by a projection of the token.</summary>
    public bool SwiluProjection { get; init; } = true;

    /// <summary>Whether all memory layers read one table.</summary>
    public bool MemShareValues { get; init; } = true;

    /// <summary>Whether a memory's output has a scalar gate.</summary>
    public bool MemGated { get; init; }

    /// <summary>Whether slots are experts of one hidden unit.</summary>
    public bool PeerVariant { get; init; }

    /// <summary>How memory layers are drawn.</summary>
    public MemoryStart MemoryInit { get; init; } = MemoryStart.Fork;

    /// <summary>Whether the memory layers alone are trained, where there are any.</summary>
    public bool TrainOnlyMemory { get; init; } = true;

    /// <summary>Constant learning rate of the memory's tables, without warm-up; null: they follow the schedule.</summary>
    public double? ValueFixedLr { get; init; } = 1e-3;

    /// <summary>Whether blocks are computed again in the backward pass instead of keeping their activations.</summary>
    public bool GradCheckpointing { get; init; }

    /// <summary>The number format.</summary>
    public TrainingPrecision Precision { get; init; } = TrainingPrecision.Fp32;

    /// <summary>Share of the patches that is dropped.</summary>
    public double PatchDropout { get; init; }

    /// <summary>Decay of the moving average of the weights, which is then evaluated and saved; null keeps none.</summary>
    public double? EmaDecay { get; init; }

    /// <summary>Area of the random crop, smallest and largest share; null resizes and crops at the centre.</summary>
    public IReadOnlyList<double>? CropScale { get; init; } = [0.9, 1.0];

    /// <summary>Largest changes of brightness, contrast, saturation and hue; null keeps the colours.</summary>
    public IReadOnlyList<double>? ColorJitter { get; init; }

    /// <summary>Share of the images whose colours are changed; used with <see cref="ColorJitter"/> only.</summary>
    public double ColorJitterProb { get; init; } = 1;

    /// <summary>Share of the images that become grey.</summary>
    public double GrayScaleProb { get; init; }

    /// <summary>Seed of weights, order, random changes of the images and dropped patches.</summary>
    public long Seed { get; init; }

    /// <summary>Optimiser steps between two log lines.</summary>
    public int LogEveryNSteps { get; init; } = 100;

    /// <summary>Optimiser steps between two evaluations; 0 evaluates at the end only.</summary>
    public int EvaluateEveryNSteps { get; init; }

    /// <summary>Optimiser steps between two checkpoints; 0 saves at the end only.</summary>
    public int SaveEveryNSteps { get; init; } = 500;

    /// <summary>Epochs between two evaluations; null: <see cref="EvaluateEveryNSteps"/> counts.</summary>
    public int? ValFrequency { get; init; }

    /// <summary>Epochs between two checkpoints; null: <see cref="SaveEveryNSteps"/> counts.</summary>
    public int? SaveFrequency { get; init; }

    /// <summary>The weights of the contrastive terms, one for each caption that is made of a pair's text.</summary>
    [JsonIgnore]
    public virtual ValueList<double> CaptionWeights => [1];

    /// <summary>What is made of a pair's text: the text itself first.</summary>
    [JsonIgnore]
    public virtual IReadOnlyList<Func<string, string>> Captions => [static text => text];

    /// <summary>The random changes of the images.</summary>
    [JsonIgnore]
    public ImageAugmentation Augmentation => new(
        CropScale is [var low, var high] ? new(low, high) : null,
        ColorJitter is [var brightness, var contrast, var saturation, var hue] ? new(brightness, contrast, saturation, hue) : null,
        ColorJitterProb,
        GrayScaleProb);

    /// <summary>How a table is read.</summary>
    [JsonIgnore]
    public CsvPairOptions Csv => new(CsvSeparator[0], CsvImgKey, CsvCaptionKey);

    /// <summary>How often the loop logs, measures and saves.</summary>
    [JsonIgnore]
    public TrainingLoopOptions Loop => new()
    {
        LogEvery = LogEveryNSteps, EvaluateEvery = EvaluateEveryNSteps, SaveEvery = SaveEveryNSteps,
    };

    /// <inheritdoc />
    [JsonIgnore]
    public override string Command => "train clip";

    /// <summary>Sharpness-aware minimisation; null trains the ordinary way.</summary>
    [JsonIgnore]
    public SamOptions? Sharpness => SamRho is { } radius ? new(radius, SamAdaptive) : null;

    /// <summary>The memory layers that the configuration asks for.</summary>
    /// <param name="vision">The tower that they are for.</param>
    /// <exception cref="UserException">They do not fit the tower, or a list of blocks is none.</exception>
    public MemoryConfig Memory(VisionConfig vision) => vision.Stages is not null ? throw ModifiedResNet.HasNoTokens() : new MemoryConfig
    {
        Blocks = MemoryLayers == AutomaticLayers ? MemoryConfig.EverySecondBlock(vision.Layers) : MemoryConfig.ParseBlocks(MemoryLayers, "`memory_layers`"),
        SubKeys = MemNKeys,
        Heads = MemHeads,
        Neighbours = MemKnn,
        KeyWidth = MemKDim,
        ValueWidth = MemVDim,
        SiluGate = SwiluProjection,
        ShareValues = MemShareValues,
        ScalarGate = MemGated,
        Experts = PeerVariant,
    }.Validated(vision, Command);

    /// <summary>Refuses impossible values.</summary>
    /// <param name="source">The file, for messages.</param>
    /// <exception cref="UserException">A value is impossible; the message names it.</exception>
    public virtual void Validate(string source)
    {
        void Require(bool holds, string field, object? value, string rule) => Refuse(source, holds, field, value, rule);
        Require(Model is not null || HasOwnArchitecture, "model", "missing", "given, or weights with a configuration beside them (`pretrained`)");
        Require(Tokenizer is not null || HasOwnArchitecture, "tokenizer", "missing", "given, or weights with a vocabulary beside them (`pretrained`)");
        Require(Prompts is null || ImagenetVal is not null, "prompts", Prompts, "left out without labelled images (`imagenet_val`)");
        Require(LockImageUnlockedGroups >= 0, "lock_image_unlocked_groups", LockImageUnlockedGroups, "0 or more");
        Require(LockImage || LockImageUnlockedGroups == 0, "lock_image_unlocked_groups", LockImageUnlockedGroups, "0 without `lock_image`");
        Require(LockTextUnlockedLayers >= 0, "lock_text_unlocked_layers", LockTextUnlockedLayers, "0 or more");
        Require(LockText || LockTextUnlockedLayers == 0, "lock_text_unlocked_layers", LockTextUnlockedLayers, "0 without `lock_text`");
        Require(ValueFixedLr is null || (ValueFixedLr > 0 && double.IsFinite(ValueFixedLr.Value)), "value_fixed_lr", ValueFixedLr, "above 0, or null");
        Require(ValFrequency is null or >= 1, "val_frequency", ValFrequency, "at least 1, or null");
        Require(SaveFrequency is null or >= 1, "save_frequency", SaveFrequency, "at least 1, or null");
        RequirePooling(source);
        Require(Epochs >= 1, "epochs", Epochs, "at least 1");
        Require(BatchSize >= 1, "batch_size", BatchSize, "at least 1");
        Require(AccumFreq >= 1, "accum_freq", AccumFreq, "at least 1");
        Require(Lr > 0 && double.IsFinite(Lr), "lr", Lr, "above 0");
        Require(Optimizers.All.Names.Contains(Opt), "opt", Opt, $"one of {string.Join(", ", Optimizers.All.Names)}");
        Require(Momentum is >= 0 and < 1, "momentum", Momentum, "from 0 up to, not including, 1");
        Require(Beta1 is >= 0 and < 1, "beta1", Beta1, "from 0 up to, not including, 1");
        Require(Beta2 is >= 0 and < 1, "beta2", Beta2, "from 0 up to, not including, 1");
        Require(Eps > 0, "eps", Eps, "above 0");
        Require(Wd >= 0, "wd", Wd, "0 or more");
        Require(Warmup >= 0, "warmup", Warmup, "0 or more");
        Require(WarmupEpochs >= 0, "warmup_epochs", WarmupEpochs, "0 or more");
        Require(WarmupLr >= 0, "warmup_lr", WarmupLr, "0 or more");
        Require(MinLr >= 0, "min_lr", MinLr, "0 or more");
        Require(EpochsCooldown >= 0 && EpochsCooldown <= Epochs, "epochs_cooldown", EpochsCooldown, "from 0 to the number of epochs");
        Require(
            LrScheduler != ScheduleKind.ConstCooldown || EpochsCooldown > 0, "epochs_cooldown", EpochsCooldown, "at least 1 with const_cooldown");
        Require(GradClipNorm is null or > 0, "grad_clip_norm", GradClipNorm, "above 0, or null");
        Require(SamRho is null || (SamRho > 0 && double.IsFinite(SamRho.Value)), "sam_rho", SamRho, "above 0, or null");
        Require(!SamAdaptive || SamRho is not null, "sam_adaptive", SamAdaptive, "false without `sam_rho`");
        Require(PatchDropout is >= 0 and < 1, "patch_dropout", PatchDropout, "from 0 up to, not including, 1");
        Require(EmaDecay is null or (> 0 and < 1), "ema_decay", EmaDecay, "between 0 and 1, or null");
        Require(
            CropScale is null || (CropScale is [var low, var high] && low > 0 && low <= high && high <= 1),
            "crop_scale",
            CropScale is null ? null : $"[{string.Join(", ", CropScale)}]",
            "two ascending numbers above 0 and up to 1, or null");
        Require(
            ColorJitter is null || (ColorJitter.Count == 4 && ColorJitter.All(change => change >= 0) && ColorJitter[3] <= 0.5),
            "color_jitter",
            ColorJitter is null ? null : $"[{string.Join(", ", ColorJitter)}]",
            "four numbers of 0 or more, the last one at most 0.5, or null");
        Require(ColorJitterProb is >= 0 and <= 1, "color_jitter_prob", ColorJitterProb, "from 0 to 1");
        Require(GrayScaleProb is >= 0 and <= 1, "gray_scale_prob", GrayScaleProb, "from 0 to 1");
        Require(
            CsvSeparator is [var separator] && char.IsAscii(separator) && separator is not ('"' or '\r' or '\n'),
            "csv_separator",
            $"\"{CsvSeparator}\"",
            "one ASCII character and no quote or line break");
        Require(TrainNumSamples >= 1, "train_num_samples", TrainNumSamples, "at least 1");
        Require(ValNumSamples >= 1, "val_num_samples", ValNumSamples, "at least 1");
        Require(LogEveryNSteps >= 1, "log_every_n_steps", LogEveryNSteps, "at least 1");
        Require(EvaluateEveryNSteps >= 0, "evaluate_every_n_steps", EvaluateEveryNSteps, "0 or more");
        Require(SaveEveryNSteps >= 0, "save_every_n_steps", SaveEveryNSteps, "0 or more");
    }

    /// <summary>Whether the weights that the training begins with bring their architecture along.</summary>
    [JsonIgnore]
    protected virtual bool HasOwnArchitecture => Pretrained is not null;
}

/// <summary>The course of the learning rate after the warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>Half a cosine down to 0.</summary>
    Cosine,

    /// <summary>Constant.</summary>
    Const,

    /// <summary>Constant, then a cool-down.</summary>
    ConstCooldown,

    /// <summary>DeiT's: set once an epoch, with a warm-up of epochs that is part of the half cosine; see <see cref="EpochCosineSchedule"/>.</summary>
    EpochCosine,
}
