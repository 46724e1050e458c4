using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.Augmentation;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Training.Vit;

/// <summary>
/// A training of a ViT classifier with late tokens, as its JSON file says; see <see cref="TrainingConfigFile"/>. Names and defaults are
/// those of DynamicTokenLocViT's main script, which is DeiT's (docs/methods/late-tokens.md, "Training").
/// </summary>
public sealed record VitTrainingConfig : ITrainingConfig
{
    /// <summary>Images per step for which learning rates are given.</summary>
    public const int RateBatch = 512;

    /// <summary>The data: an entry of <see cref="VitDatasets"/>.</summary>
    public required string Dataset { get; init; }

    /// <summary>The folder of the data; null for data that is generated.</summary>
    public string? DataPath { get; init; }

    /// <summary>Number of generated training images, before those of two objects are left out; used with <c>shapes</c> only.</summary>
    public int TrainNumSamples { get; init; } = 40_000;

    /// <summary>Number of generated test images; used with <c>shapes</c> only.</summary>
    public int ValNumSamples { get; init; } = 1920;

    /// <summary>Published size: <c>tiny</c>, <c>small</c> or <c>base</c>; null: as <see cref="EmbedDim"/> and <see cref="NumHeads"/> say.</summary>
    public string? Model { get; init; }

    /// <summary>Rows and columns of the input.</summary>
    public int InputSize { get; init; } = 224;

    /// <summary>Rows and columns of a patch.</summary>
    public int PatchSize { get; init; } = 16;

    /// <summary>Channels of a token; null: as the model's size has.</summary>
    public int? EmbedDim { get; init; }

    /// <summary>Number of blocks.</summary>
    public int Depth { get; init; } = 12;

    /// <summary>Attention heads; null: as the model's size has.</summary>
    public int? NumHeads { get; init; }

    /// <summary>Hidden channels of the MLP as a multiple of the tokens'.</summary>
    public double MlpRatio { get; init; } = 4;

    /// <summary>Whether the projection to queries, keys and values has a bias.</summary>
    public bool QkvBias { get; init; }

    /// <summary>The kind of every block: <c>plain</c>, <c>layerscale</c>, <c>parallel</c> or <c>parallel_layerscale</c>.</summary>
    public string Block { get; init; } = "plain";

    /// <summary>Start value of the gains of layerscale blocks.</summary>
    public double InitScale { get; init; } = 1e-4;

    /// <summary>Register tokens; null: 4, or as <see cref="Finetune"/> has.</summary>
    public int? NumReg { get; init; }

    /// <summary>The class token enters before this block; null: 0, or as <see cref="Finetune"/> has it.</summary>
    public int? ClsPos { get; init; }

    /// <summary>The registers enter before this block; null: 0, or as <see cref="Finetune"/> has them.</summary>
    public int? RegPos { get; init; }

    /// <summary>A distillation token enters before this block; null for none.</summary>
    public int? DistPos { get; init; }

    /// <summary>Whether the model is DeiT's distilled one, whose class and distillation token are there from the start and have positions.</summary>
    public bool DeitDistilled { get; init; }

    /// <summary>Share of the class feature that is dropped before the head.</summary>
    public double Drop { get; init; }

    /// <summary>Share of the attention probabilities that is dropped.</summary>
    public double AttnDrop { get; init; }

    /// <summary>Probability with which an image skips a branch.</summary>
    public double DropPath { get; init; } = 0.1;

    /// <summary>A trained classifier to begin with: a model folder or weight file. Its head is drawn anew where the classes differ.</summary>
    public string? Finetune { get; init; }

    /// <summary>Whether attention, heads and positions alone are trained.</summary>
    public bool AttnOnly { get; init; }

    /// <summary>The classifier that teaches the distillation token: a model folder or weight file.</summary>
    public string? Teacher { get; init; }

    /// <summary>How it teaches: <c>none</c>, <c>soft</c> or <c>hard</c>.</summary>
    public string DistillationType { get; init; } = "none";

    /// <summary>The teacher's share of the loss.</summary>
    public double DistillationAlpha { get; init; } = 0.5;

    /// <summary>Temperature of soft distillation.</summary>
    public double DistillationTau { get; init; } = 1;

    /// <summary>Passes over the images.</summary>
    public int Epochs { get; init; } = 300;

    /// <summary>Images in a step.</summary>
    public int BatchSize { get; init; } = 512;

    /// <summary>The optimiser: <c>adamw</c>, <c>lamb</c> or <c>sgd</c>.</summary>
    public string Opt { get; init; } = "lamb";

    /// <summary>Decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the root of the second moment.</summary>
    public double OptEps { get; init; } = 1e-8;

    /// <summary>Momentum of <c>sgd</c>.</summary>
    public double Momentum { get; init; } = 0.9;

    /// <summary>Learning rate after the warm-up, for a step of 512 images: it is multiplied by the batch size over 512.</summary>
    public double Lr { get; init; } = 3e-3;

    /// <summary>Whether <see cref="Lr"/> holds as it is.</summary>
    public bool UnscaleLr { get; init; }

    /// <summary>Weight decay of matrices and the patch embedding.</summary>
    public double WeightDecay { get; init; } = 0.02;

    /// <summary>Epochs of the warm-up, part of <see cref="Epochs"/>.</summary>
    public int WarmupEpochs { get; init; } = 5;

    /// <summary>Learning rate of the first epoch of the warm-up.</summary>
    public double WarmupLr { get; init; } = 1e-6;

    /// <summary>Learning rate that the cosine falls to.</summary>
    public double MinLr { get; init; } = 1e-5;

    /// <summary>Gradients are scaled down to this norm; null clips nothing.</summary>
    public double? ClipGrad { get; init; }

    /// <summary>Radius of sharpness-aware minimisation; null trains the ordinary way.</summary>
    public double? SamRho { get; init; }

    /// <summary>Whether every parameter climbs in proportion to its own magnitude.</summary>
    public bool SamAdaptive { get; init; }

    /// <summary>Decay of the moving average of the weights, which is evaluated, too, and saved; null keeps none.</summary>
    public double? ModelEmaDecay { get; init; }

    /// <summary>The number format.</summary>
    public TrainingPrecision Precision { get; init; } = TrainingPrecision.Fp32;

    /// <summary>RandAugment's policy; null or <c>none</c> changes colours by <see cref="ColorJitter"/> instead.</summary>
    public string? Aa { get; init; } = "rand-m9-mstd0.5-inc1";

    /// <summary>Largest change of brightness, contrast and saturation, where there is no policy; 0 changes nothing.</summary>
    public double ColorJitter { get; init; } = 0.3;

    /// <summary>Largest turn of the hue in full circles, at most 0.5, with <see cref="ColorJitter"/>; 0 leaves it alone.</summary>
    public double HueJitter { get; init; }

    /// <summary>Largest turn of an image in degrees, either way; 0 turns nothing.</summary>
    public double Rotation { get; init; }

    /// <summary>Whether grey, solarised or blurred, then the colours, replace policy and erasing (DeiT III).</summary>
    public bool ThreeAugment { get; init; }

    /// <summary>Whether the crop keeps the image's scale, with 4 pixels around it: reflected with <see cref="ThreeAugment"/>, else black.</summary>
    public bool Src { get; init; }

    /// <summary>Share of the images that lose a box.</summary>
    public double Reprob { get; init; } = 0.25;

    /// <summary>What fills the box.</summary>
    public ErasingMode Remode { get; init; } = ErasingMode.Pixel;

    /// <summary>Boxes of an image.</summary>
    public int Recount { get; init; } = 1;

    /// <summary>Whether workers see an image several times in a row; one process is one worker, so that it has no effect.</summary>
    public bool RepeatedAug { get; init; } = true;

    /// <summary>Share of a target that is spread over all classes.</summary>
    public double Smoothing { get; init; } = 0.1;

    /// <summary>Parameter of Mixup; 0 turns it off.</summary>
    public double Mixup { get; init; } = 0.8;

    /// <summary>Parameter of CutMix; 0 turns it off.</summary>
    public double Cutmix { get; init; } = 1;

    /// <summary>Probability with which a batch is mixed.</summary>
    public double MixupProb { get; init; } = 1;

    /// <summary>Probability of CutMix where both are on.</summary>
    public double MixupSwitchProb { get; init; } = 0.5;

    /// <summary>For what shares are drawn: <c>batch</c>, <c>pair</c> or <c>elem</c>.</summary>
    public MixingMode MixupMode { get; init; }

    /// <summary>Whether every class is a binary question.</summary>
    public bool BceLoss { get; init; }

    /// <summary>Whether a batch goes through the network twice, each half teaching the other.</summary>
    public bool Cosub { get; init; }

    /// <summary>Part of the resized image that the evaluation looks at; inputs of up to 32 pixels are not resized.</summary>
    public double EvalCropRatio { get; init; } = 0.875;

    /// <summary>Seed of weights, order, random changes, mixing and dropped branches.</summary>
    public long Seed { get; init; }

    /// <summary>Optimiser steps between two log lines.</summary>
    public int LogEveryNSteps { get; init; } = 50;

    /// <summary>Epochs between two evaluations.</summary>
    public int ValFrequency { get; init; } = 1;

    /// <summary>Epochs between two checkpoints.</summary>
    public int SaveFrequency { get; init; } = 1;

    /// <summary>The learning rate after the warm-up, as it is used.</summary>
    [JsonIgnore]
    public double ScaledLr => UnscaleLr ? Lr : Lr * BatchSize / RateBatch;

    /// <summary>Sharpness-aware minimisation; null trains the ordinary way.</summary>
    [JsonIgnore]
    public SamOptions? Sharpness => SamRho is { } radius ? new(radius, SamAdaptive) : null;

    /// <summary>Mixup and CutMix.</summary>
    [JsonIgnore]
    public Mixing Mixing => new(Mixup, Cutmix, MixupProb, MixupSwitchProb, MixupMode);

    /// <summary>What happens to a training image.</summary>
    [JsonIgnore]
    public TrainingTransformOptions Transform => new()
    {
        Side = InputSize,
        RandAugment = Policy is null ? null : RandAugment.Parse(Policy),
        ColorJitter = ColorJitter,
        HueJitter = HueJitter,
        Rotation = Rotation,
        Erasing = Reprob > 0 ? new(Reprob, Remode, Recount) : null,
        ThreeAugment = ThreeAugment,
        SimpleCrop = Src,
    };

    /// <summary>How a teacher teaches.</summary>
    [JsonIgnore]
    public ClassDistillation Distillation => ClassDistillation.All.Find(DistillationType);

    private string? Policy => Aa is null or "" or "none" ? null : Aa;

    /// <summary>The model that a training from random weights begins with.</summary>
    /// <param name="classes">Number of classes.</param>
    /// <exception cref="UserException">It is impossible; the message names the field and its range.</exception>
    public PlacementConfig Architecture(int classes)
    {
        var size = Model is null ? new PlacementConfig() : PlacementConfig.Preset(Model);
        var fields = new JsonObject
        {
            ["img_size"] = InputSize,
            ["patch_size"] = PatchSize,
            ["num_classes"] = classes,
            ["embed_dim"] = EmbedDim ?? size.Width,
            ["depth"] = Depth,
            ["num_heads"] = NumHeads ?? size.Heads,
            ["mlp_ratio"] = MlpRatio,
            ["qkv_bias"] = QkvBias,
            ["block"] = Block,
            ["init_scale"] = InitScale,
            ["num_register_tokens"] = NumReg ?? (DeitDistilled ? 0 : 4),
            ["cls_pos"] = ClsPos ?? 0,
            ["reg_pos"] = RegPos ?? 0,
            ["dist_pos"] = DistPos,
            ["deit_distilled"] = DeitDistilled,
        };
        return WithNoise(PlacementConfig.Parse(JsonSerializer.SerializeToElement(fields), "the training's configuration"));
    }

    /// <summary>The same model with what this training drops.</summary>
    public PlacementConfig WithNoise(PlacementConfig config) =>
        (config with { DropRate = Drop, AttentionDropRate = AttnDrop, DropPathRate = DropPath }).Validated();

    /// <inheritdoc />
    public void Validate(string source)
    {
        void Require(bool holds, string field, object? value, string rule)
        {
            if (!holds)
            {
                throw new UserException($"{source}: `{field}` is {value ?? "missing"}, but must be {rule}.");
            }
        }

        _ = VitDatasets.All.Find(Dataset);
        Require(DataPath is not null || !VitDatasets.All.Find(Dataset).NeedsPath, "data_path", null, $"given: the folder of {Dataset}");
        Require(TrainNumSamples >= 1, "train_num_samples", TrainNumSamples, "at least 1");
        Require(ValNumSamples >= 1, "val_num_samples", ValNumSamples, "at least 1");
        Require(Model is null || PlacementConfig.Presets.Contains(Model), "model", Model, $"one of {string.Join(", ", PlacementConfig.Presets)}, or null");
        Require(Model is not null || Finetune is not null || (EmbedDim is not null && NumHeads is not null), "model", null, "given, or `embed_dim` and `num_heads`, or `finetune`");
        Require(Epochs >= 1, "epochs", Epochs, "at least 1");
        Require(BatchSize >= 1, "batch_size", BatchSize, "at least 1");
        Require(Optimizers.All.Names.Contains(Opt), "opt", Opt, $"one of {string.Join(", ", Optimizers.All.Names)}");
        Require(Momentum is >= 0 and < 1, "momentum", Momentum, "from 0 up to, not including, 1");
        Require(Beta1 is >= 0 and < 1, "beta1", Beta1, "from 0 up to, not including, 1");
        Require(Beta2 is >= 0 and < 1, "beta2", Beta2, "from 0 up to, not including, 1");
        Require(OptEps > 0, "opt_eps", OptEps, "above 0");
        Require(Lr > 0 && double.IsFinite(Lr), "lr", Lr, "above 0");
        Require(WeightDecay >= 0, "weight_decay", WeightDecay, "0 or more");
        Require(WarmupEpochs >= 0, "warmup_epochs", WarmupEpochs, "0 or more");
        Require(WarmupLr >= 0, "warmup_lr", WarmupLr, "0 or more");
        Require(MinLr >= 0, "min_lr", MinLr, "0 or more");
        Require(ClipGrad is null or > 0, "clip_grad", ClipGrad, "above 0, or null");
        Require(SamRho is null || (SamRho > 0 && double.IsFinite(SamRho.Value)), "sam_rho", SamRho, "above 0, or null");
        Require(!SamAdaptive || SamRho is not null, "sam_adaptive", SamAdaptive, "false without `sam_rho`");
        Require(ModelEmaDecay is null or (> 0 and < 1), "model_ema_decay", ModelEmaDecay, "between 0 and 1, or null");
        Require(ColorJitter >= 0, "color_jitter", ColorJitter, "0 or more");
        Require(HueJitter is >= 0 and <= 0.5, "hue_jitter", HueJitter, "from 0 to 0.5");
        Require(HueJitter == 0 || ThreeAugment || Policy is null, "hue_jitter", HueJitter, "0 with a policy (`aa`), which replaces the changes of colour");
        Require(Rotation is >= 0 and <= 180, "rotation", Rotation, "from 0 to 180");
        Require(Reprob is >= 0 and <= 1, "reprob", Reprob, "from 0 to 1");
        Require(Recount >= 1, "recount", Recount, "at least 1");
        Require(Smoothing is >= 0 and < 1, "smoothing", Smoothing, "from 0 up to, not including, 1");
        Require(!BceLoss || Smoothing == 0, "smoothing", Smoothing, "0 with `bce_loss`: every class would be a right one");
        Require(Mixup >= 0, "mixup", Mixup, "0 or more");
        Require(Cutmix >= 0, "cutmix", Cutmix, "0 or more");
        Require(MixupProb is >= 0 and <= 1, "mixup_prob", MixupProb, "from 0 to 1");
        Require(MixupSwitchProb is >= 0 and <= 1, "mixup_switch_prob", MixupSwitchProb, "from 0 to 1");
        Require(!Mixing.IsOn || BatchSize % 2 == 0, "batch_size", BatchSize, "even with `mixup` or `cutmix`");
        Require(EvalCropRatio is > 0 and <= 1, "eval_crop_ratio", EvalCropRatio, "above 0 and at most 1");
        Require(DistillationAlpha is >= 0 and <= 1, "distillation_alpha", DistillationAlpha, "from 0 to 1");
        Require(DistillationTau > 0, "distillation_tau", DistillationTau, "above 0");
        Require(Distillation.Of is null || Teacher is not null, "teacher", null, $"given with `distillation_type` {DistillationType}");
        Require(Distillation.Of is not null || Teacher is null, "distillation_type", DistillationType, "soft or hard with a `teacher`");
        Require(!Cosub || Distillation.Of is null, "cosub", Cosub, "false with distillation");
        Require(LogEveryNSteps >= 1, "log_every_n_steps", LogEveryNSteps, "at least 1");
        Require(ValFrequency >= 1, "val_frequency", ValFrequency, "at least 1");
        Require(SaveFrequency >= 1, "save_frequency", SaveFrequency, "at least 1");
        _ = Transform;
        if (Finetune is null)
        {
            _ = Architecture(1);
        }
    }
}
