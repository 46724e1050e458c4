using RegCache.Lab.Placement;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Vit;

namespace RegCache.Lab.Cli.Options;

/// <summary>
/// The options of <c>train vit</c>: the fields of its configuration, also as DeiT's and DynamicTokenLocViT's scripts spell them
/// (<c>--num_reg</c>, <c>--data-set</c>, <c>--ThreeAugment</c>).
/// </summary>
internal static class VitFields
{
    private const string Augmentation = "Augmentation";

    /// <summary>All fields; those of sharpness-aware minimisation have options of their own.</summary>
    public static IReadOnlyList<TrainingField> All { get; } =
    [
        Field(OptionGroups.Data, "dataset", string.Join('|', VitDatasets.All.Names), "What it is trained on.", "--data-set"),
        Field(OptionGroups.Data, "data_path", "FOLDER", "The folder of the data."),
        Field(OptionGroups.Data, "train_num_samples", "N", "Generated training images; of shapes only."),
        Field(OptionGroups.Data, "val_num_samples", "N", "Generated test images; of shapes only."),
        Field(OptionGroups.Data, "eval_crop_ratio", "R", "Part of the resized image that the evaluation looks at."),
        Field(OptionGroups.Model, "model", string.Join('|', PlacementConfig.Presets), "Published size."),
        Field(OptionGroups.Model, "input_size", "N", "Rows and columns of the input.", "--img-size", "--img_size"),
        Field(OptionGroups.Model, "patch_size", "N", "Rows and columns of a patch."),
        Field(OptionGroups.Model, "embed_dim", "N", "Channels of a token. [default: as --model has]"),
        Field(OptionGroups.Model, "depth", "N", "Blocks."),
        Field(OptionGroups.Model, "num_heads", "N", "Attention heads. [default: as --model has]"),
        Field(OptionGroups.Model, "mlp_ratio", "R", "Hidden channels of the MLP as a multiple of the tokens'."),
        Field(OptionGroups.Model, "qkv_bias", "", "A bias on queries, keys and values."),
        Field(OptionGroups.Model, "block", "plain|layerscale|parallel|parallel_layerscale", "The kind of every block."),
        Field(OptionGroups.Model, "init_scale", "G", "Start value of the gains of layerscale blocks."),
        Field(OptionGroups.Model, "num_reg", "R", "Register tokens. [default: 4]"),
        Field(OptionGroups.Model, "cls_pos", "BLOCK", "The class token enters before this block. [default: 0]"),
        Field(OptionGroups.Model, "reg_pos", "BLOCK", "The registers enter before this block. [default: 0]"),
        Field(OptionGroups.Model, "dist_pos", "BLOCK", "A distillation token enters before this block; none: there is none."),
        Field(OptionGroups.Model, "deit_distilled", "", "DeiT's distilled model: both tokens from the start, with positions."),
        Field(OptionGroups.Model, "finetune", "PATH", "Model folder or weight file to begin with; its head is drawn anew where the classes differ."),
        Field(OptionGroups.Model, "attn_only", "", "Train attention, heads and positions alone."),
        Field(OptionGroups.Model, "teacher", "PATH", "The classifier that teaches the distillation token: a model folder or weight file.", "--teacher-path"),
        Field(TrainingField.Training, "distillation_type", string.Join('|', ClassDistillation.All.Names), "How it teaches."),
        Field(TrainingField.Training, "distillation_alpha", "A", "The teacher's share of the loss."),
        Field(TrainingField.Training, "distillation_tau", "T", "Temperature of soft distillation."),
        Field(TrainingField.Training, "epochs", "N", "Passes over the images."),
        Field(TrainingField.Training, "batch_size", "N", "Images in a step."),
        Field(TrainingField.Training, "opt", string.Join('|', Optimizers.All.Names), "The optimiser."),
        Field(TrainingField.Training, "beta1", "B", "Decay of the first moment."),
        Field(TrainingField.Training, "beta2", "B", "Decay of the second moment."),
        Field(TrainingField.Training, "opt_eps", "E", "Added to the root of the second moment."),
        Field(TrainingField.Training, "momentum", "M", "Momentum of sgd."),
        Field(TrainingField.Training, "lr", "LR", "Learning rate for a step of 512 images; it is multiplied by --batch-size over 512."),
        Field(TrainingField.Training, "unscale_lr", "", "Take --lr as it is."),
        Field(TrainingField.Training, "weight_decay", "WD", "Weight decay of matrices."),
        Field(TrainingField.Training, "warmup_epochs", "N", "Epochs of the warm-up."),
        Field(TrainingField.Training, "warmup_lr", "LR", "Learning rate of the first epoch of the warm-up."),
        Field(TrainingField.Training, "min_lr", "LR", "Learning rate that the cosine falls to."),
        Field(TrainingField.Training, "clip_grad", "NORM", "Gradients are scaled down to this norm; none: never."),
        Field(TrainingField.Training, "drop", "P", "Share of the class feature that is dropped before the head."),
        Field(TrainingField.Training, "attn_drop", "P", "Share of the attention probabilities that is dropped."),
        Field(TrainingField.Training, "drop_path", "P", "Probability with which an image skips a branch."),
        Field(TrainingField.Training, "model_ema_decay", "D", "Decay of a moving average of the weights, which is evaluated, too, and saved."),
        Field(TrainingField.Training, "precision", "fp32|amp_bf16", "Number format: amp_bf16 has matrix products in bfloat16."),
        Field(TrainingField.Training, "bce_loss", "", "Every class is a binary question."),
        Field(TrainingField.Training, "cosub", "", "Every batch goes through the network twice, each half teaching the other."),
        Field(TrainingField.Training, "smoothing", "S", "Share of a target that is spread over all classes."),
        Field(TrainingField.Training, "seed", "N", "Seed of everything random."),
        Field(Augmentation, "aa", "POLICY", "RandAugment's policy; none changes the colours by --color-jitter."),
        Field(Augmentation, "color_jitter", "C", "Largest change of brightness, contrast and saturation, where there is no policy."),
        Field(Augmentation, "hue_jitter", "H", "Largest turn of the hue in full circles, with the other changes of colour."),
        Field(Augmentation, "rotation", "DEGREES", "Largest turn of an image, either way."),
        Field(Augmentation, "three_augment", "", "Grey, solarised or blurred, then the colours, instead of policy and erasing.", "--ThreeAugment"),
        Field(Augmentation, "src", "", "A crop that keeps the image's scale, with 4 pixels around it: reflected with --three-augment, else black."),
        Field(Augmentation, "reprob", "P", "Share of the images that lose a box."),
        Field(Augmentation, "remode", "pixel|rand|const", "What fills the box."),
        Field(Augmentation, "recount", "N", "Boxes of an image."),
        Field(Augmentation, "repeated_aug", "", "Workers see an image several times in a row; one process is one worker."),
        Field(Augmentation, "mixup", "ALPHA", "Parameter of Mixup; 0: off."),
        Field(Augmentation, "cutmix", "ALPHA", "Parameter of CutMix; 0: off."),
        Field(Augmentation, "mixup_prob", "P", "Probability with which a batch is mixed."),
        Field(Augmentation, "mixup_switch_prob", "P", "Probability of CutMix where both are on."),
        Field(Augmentation, "mixup_mode", "batch|pair|elem", "For what shares are drawn."),
        Field(TrainingField.Often, "log_every_n_steps", "N", "Optimiser steps between two log lines."),
        Field(TrainingField.Often, "val_frequency", "N", "Epochs between two evaluations."),
        Field(TrainingField.Often, "save_frequency", "N", "Epochs between two checkpoints."),
    ];

    /// <summary>Options of the published scripts that are not here, each with what to use instead.</summary>
    public static IReadOnlyList<RefusedOption> Refused { get; } =
    [
        Refuse("--resume", "a training goes on by itself from its run directory: give the same --run-dir again"),
        Refuse("--start_epoch", "a training goes on by itself from its run directory: give the same --run-dir again"),
        Refuse("--eval", "use regcache eval vit"),
        Refuse("--sched", "the rate follows a cosine that is set once an epoch; leave it out"),
        Refuse("--opt-betas", "use --beta1 and --beta2"),
        Refuse("--train-interpolation", "training images are resized bicubic; leave it out"),
        Refuse("--no-repeated-aug", "use --repeated-aug false, which changes nothing in one process"),
        Refuse("--model-ema", "use --model-ema-decay 0.99996"),
        Refuse("--no-model-ema", "without --model-ema-decay there is no average; leave it out"),
        Refuse("--model-ema-force-cpu", "the average lies where the model lies; leave it out"),
        Refuse("--teacher-model", "the teacher's file tells its architecture: use --teacher"),
        Refuse("--inat-category", "iNaturalist is not read"),
        Refuse("--pin-mem", "leave it out"),
        Refuse("--no-pin-mem", "leave it out"),
        Refuse("--dist-eval", "several processes are started by mpirun or srun; leave it out"),
        Refuse("--distributed", "several processes are started by mpirun or srun; leave it out"),
        Refuse("--world_size", "several processes are started by mpirun or srun; leave it out"),
        Refuse("--dist_url", "several processes are started by mpirun or srun; leave it out"),
        Refuse("--gpu", "use --device cuda, and CUDA_VISIBLE_DEVICES to choose"),
    ];

    private static TrainingField Field(string group, string name, string values, string help, params string[] aliases) => new(group, name, values, help)
    {
        Aliases = name.Contains('_', StringComparison.Ordinal) ? [$"--{name}", .. aliases] : aliases,
    };

    private static RefusedOption Refuse(string name, string instead) => new(name, instead);
}
