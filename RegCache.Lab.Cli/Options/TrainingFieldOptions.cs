using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Reports;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Towers;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Cli.Options;

/// <summary>
/// The fields of a training's configuration as options: <c>--batch-size 20</c> is the field <c>batch_size</c>, and wins over the file.
/// Options of published scripts that this kit has under another name, or not at all, are refused with the reason.
/// </summary>
/// <typeparam name="T">The configuration.</typeparam>
internal sealed class TrainingFieldOptions<T>
    where T : ITrainingConfig
{
    private readonly List<(TrainingField Field, Type Type, Option Option)> _options = [];
    private readonly IReadOnlyList<RefusedOption> _refused;

    /// <summary>Makes the options of every field of the configuration.</summary>
    /// <param name="fields">The fields, among others that it does not have.</param>
    /// <param name="refused">Options that are refused with the reason.</param>
    /// <param name="shortest">The shortest file there is, which has all the defaults.</param>
    public TrainingFieldOptions(IEnumerable<TrainingField> fields, IReadOnlyList<RefusedOption> refused, string shortest)
    {
        _refused = refused;
        var defaults = JsonSerializer.SerializeToNode(JsonSerializer.Deserialize<T>(shortest, ReportJson.Options)!, ReportJson.Options)!.AsObject();
        var properties = ReportJson.Options.GetTypeInfo(typeof(T)).Properties.ToDictionary(property => property.Name, property => property.PropertyType);
        foreach (var field in fields.Where(field => properties.ContainsKey(field.Name)))
        {
            var type = Nullable.GetUnderlyingType(properties[field.Name]) ?? properties[field.Name];
            _options.Add((field, type, field.ToOption(type, defaults[field.Name])));
        }
    }

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var (field, _, option) in _options)
        {
            command.AddGroup(field.Group, option);
        }

        foreach (var refused in _refused)
        {
            command.Add(refused.ToOption());
        }
    }

    /// <summary>What was given, under the fields' names.</summary>
    /// <exception cref="UserException">A value is none that the field can have.</exception>
    public JsonObject Read(ParseResult arguments)
    {
        var given = new JsonObject();
        foreach (var (field, type, option) in _options.Where(entry => arguments.GetResult(entry.Option) is { Implicit: false }))
        {
            given[field.Name] = option is Option<bool> flag ? JsonValue.Create(arguments.GetValue(flag)) : Value(arguments.GetValue((Option<string>)option)!, type);
        }

        return given;
    }

    // Words become what the field holds; what is none is left as text, which reading the configuration refuses by the field's name.
    private static JsonNode? Value(string text, Type type)
    {
        if (type == typeof(string))
        {
            return JsonValue.Create(text == "\\t" ? "\t" : text);
        }

        if (text == TrainingField.None && !type.IsEnum)
        {
            return null;
        }

        return type.IsEnum ? JsonValue.Create(text)
            : typeof(IEnumerable<double>).IsAssignableFrom(type) ? new JsonArray([.. text.Split(',').Select(Number)])
            : Number(text);
    }

    private static JsonNode Number(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) ? JsonValue.Create(whole)
        : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? JsonValue.Create(number)
        : JsonValue.Create(text);
}

/// <summary>An option of commands that train.</summary>
/// <param name="Group">Its group on the help page.</param>
/// <param name="Name">The field's name in the file.</param>
/// <param name="Values">What it takes, for the help page.</param>
/// <param name="Help">What it does.</param>
internal sealed record TrainingField(string Group, string Name, string Values, string Help)
{
    /// <summary>Other spellings of the option.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>The word for "no value".</summary>
    public const string None = "none";

    /// <summary>Fields whose options the fork spells with underscores; both spellings are taken.</summary>
    public static readonly IReadOnlyList<string> ForkSpells = ["dataset_name", "early_stop_patience", "early_stop_min_delta"];

    /// <summary>Groups of trainings on the help page.</summary>
    public const string Training = "Training", Often = "How often";

    private const string Memory = "Memory", Pooling = OptionGroups.Pooling;

    /// <summary>All fields of all trainings; those of sharpness-aware minimisation have options of their own.</summary>
    public static IReadOnlyList<TrainingField> All { get; } =
    [
        new(OptionGroups.Model, "model", "NAME", "Architecture: a name such as ViT-B-16, or a configuration file. [default: as the weights say]"),
        new(OptionGroups.Model, "pretrained", "PATH", "Weight file or model folder to begin with; of train distill the teacher."),
        new(OptionGroups.Model, "student_model", "PATH", "The distilled student, whose vision tower is trained on."),
        new(OptionGroups.Model, "weights_key", "KEY", "Where the model's tensors are in a checkpoint of several models."),
        new(OptionGroups.Model, "literal_activation", "", "Keep the activation that the configuration names, even where the weights need another."),
        new(OptionGroups.Model, "tokenizer", "PATH", "Folder or file of the vocabulary. [default: beside the weights]"),
        new(OptionGroups.Data, "train_data", "SHARDS", "Tar shards with braces and ::, a table .csv or .tsv, or shapes for the generated set."),
        new(OptionGroups.Data, "val_data", "SHARDS", "Pairs for the evaluation, written alike."),
        new(OptionGroups.Data, "dataset_name", "sharegpt4v|mscoco", "Whether an image of the evaluation has one caption or several."),
        new(OptionGroups.Data, "imagenet_val", "SET", "Labelled images: every evaluation measures zero-shot accuracy on them, after every epoch unless told otherwise."),
        new(OptionGroups.Data, "prompts", "FILE", "Names and templates of their classes, as JSON. [default: the set's own]"),
        new(OptionGroups.Data, "train_num_samples", "N", "Generated pairs; of shapes only."),
        new(OptionGroups.Data, "val_num_samples", "N", "Generated pairs of the evaluation; of shapes only."),
        new(OptionGroups.Data, "csv_separator", "C", "What separates the columns of a table. [default: a tab]"),
        new(OptionGroups.Data, "csv_img_key", "NAME", "Column of the images' paths."),
        new(OptionGroups.Data, "csv_caption_key", "NAME", "Column of the captions."),
        new(OptionGroups.Data, "crop_scale", "LOW,HIGH", "Smallest and largest share of the area that a random crop keeps; none crops at the centre."),
        new(OptionGroups.Data, "color_jitter", "B,C,S,H", "Largest changes of brightness, contrast, saturation and hue; none keeps the colours."),
        new(OptionGroups.Data, "color_jitter_prob", "P", "Share of the images whose colours are changed."),
        new(OptionGroups.Data, "gray_scale_prob", "P", "Share of the images that become grey."),
        new(Memory, "use_memory", "", "Memory layers in place of the MLPs of some vision blocks."),
        new(Memory, "memory_layers", "LIST", "Their blocks, as 2,4,6; auto: every second one from block 2 on."),
        new(Memory, "mem_n_keys", "N", "Sub-keys of each half of a query; a memory has the square of it in slots."),
        new(Memory, "mem_heads", "N", "Reading heads."),
        new(Memory, "mem_knn", "N", "Slots that a head reads for a token, at most --mem-n-keys."),
        new(Memory, "mem_k_dim", "N", "Channels of a head's query, even."),
        new(Memory, "mem_v_dim", "N", "Channels of a value; -1: the tower's width."),
        new(Memory, "swilu_projection", "", "Gate what was read by a projection of the token (on unless false)."),
        new(Memory, "mem_share_values", "", "One table for all memory layers (on unless false)."),
        new(Memory, "mem_gated", "", "A scalar gate on a memory's output."),
        new(Memory, "peer_variant", "", "Slots are experts of one hidden unit instead of values; --mem-v-dim must be -1."),
        new(Memory, "memory_init", "fork|proper", "How memory layers are drawn: as the released code does, or as their authors do."),
        new(Memory, "train_only_memory", "", "Train the memory layers alone (on unless false)."),
        new(Memory, "value_fixed_lr", "LR", "Constant learning rate of the tables; none follows the schedule."),
        new(Pooling, "boundary_tower", string.Join('|', PooledTowers.All.Names), "Pool the patches of the image encoder: the kind of tower."),
        new(Pooling, "boundary_rule", string.Join('|', PoolingRules.All.Names), "How boundaries are found. [default: as the tower does]"),
        new(Pooling, "boundary_layers", "A,B", "Blocks of every stack, as 4,8; patches are pooled between two. [default: the tower's own, scaled to the model's depth]"),
        new(Pooling, "boundary_rate", "R[,R]", "The wanted share of boundaries, one for each pooling. [default: 0.25]"),
        new(Pooling, "boundary_temp", "T", "Temperature of drawn boundaries. [default: the tower's own]"),
        new(Pooling, "boundary_threshold", "P", "What soft boundaries are compared with."),
        new(Pooling, "boundary_loss_weight", "W", "Weight of the boundaries' loss."),
        new(Pooling, "boundary_band", "LOW,HIGH", "The rates that the rule s-drip leaves free. [default: 0.2,0.3]"),
        new(Pooling, "boundary_order", "raster|serpentine|hilbert", "The order in which patches are a run."),
        new(Pooling, "boundary_gradient", string.Join('|', BoundaryGradients.All.Names), "How boundaries get their gradient. [default: as the rule says]"),
        new(Pooling, "boundary_exact_budget", "", "Evaluation by top-k takes the last patch as one of its k."),
        new(Pooling, "boundary_detached_pooling", "", "As released towers: the task's gradient stops at the boundaries."),
        new(Pooling, "boundary_open_tail", "", "As released towers: the last run stays open, and features depend on the batch."),
        new(Pooling, "boundary_mean_over_padding", "", "As released towers: padding counts in means."),
        new(Pooling, "boundary_attend_padding", "", "As released towers: padding takes part in attention."),
        new(Pooling, "boundary_legacy_rel_shift", "", "As released towers: distances to later patches of a shifted causal table."),
        new(Pooling, "boundary_pool_padding", "", "As released towers: a second pooling takes padding for tokens."),
        new(Pooling, "boundary_text", "gumbel|words", "Pool the tokens of the text tower, too: by drawn boundaries, or by words."),
        new(Pooling, "boundary_text_layers", "A,B,C", "Blocks before, on and behind pooled tokens. [default: as 2,8,2]"),
        new(Pooling, "boundary_text_rate", "R", "The wanted share of boundaries in texts."),
        new(Pooling, "boundary_text_temp", "T", "Temperature of drawn boundaries in texts."),
        new(Pooling, "boundary_text_loss_weight", "W", "Weight of the loss of boundaries in texts."),
        new(Training, "loss_type", "mse|l2|cosine", "How far the student's features are from the teacher's."),
        new(Training, "cache_teacher", "", "Compute the teacher's features of all training images once, before the first step."),
        new(Training, "sum_gradients", "", "Add the gradients of micro-batches instead of averaging them, as the released code does."),
        new(Training, "early_stop_patience", "N", "Evaluations in a row without improvement that end the training; 0: off."),
        new(Training, "early_stop_min_delta", "D", "By how much an evaluation has to be better."),
        new(Training, "early_stop_metric", "NAME", "The number of the evaluation that early stopping watches."),
        new(Training, "long_weight", "W", "Weight of the loss on whole captions."),
        new(Training, "short_weight", "W", "Weight of the loss on their first sentences; 0 leaves it out."),
        new(Training, "epochs", "N", "Passes over the pairs."),
        new(Training, "batch_size", "N", "Pairs in a micro-batch."),
        new(Training, "accum_freq", "N", "Micro-batches in an optimiser step."),
        new(Training, "accumulation", "cached_features|gradients", "How micro-batches are put together."),
        new(Training, "lr", "LR", "Learning rate after the warm-up."),
        new(Training, "opt", string.Join('|', Optimizers.All.Names), "The optimiser."),
        new(Training, "momentum", "M", "Momentum of sgd."),
        new(Training, "beta1", "B", "Decay of the first moment."),
        new(Training, "beta2", "B", "Decay of the second moment."),
        new(Training, "eps", "E", "Added to the root of the second moment."),
        new(Training, "wd", "WD", "Weight decay of matrices."),
        new(Training, "warmup", "N", "Optimiser steps of the warm-up."),
        new(Training, "lr_scheduler", "cosine|const|const_cooldown|epoch_cosine", "Course of the learning rate after the warm-up; epoch_cosine is DeiT's, set once an epoch."),
        new(Training, "warmup_epochs", "N", "Epochs of the warm-up of epoch_cosine, which takes the place of --warmup."),
        new(Training, "warmup_lr", "LR", "Learning rate of the first of them."),
        new(Training, "min_lr", "LR", "Learning rate that epoch_cosine falls to."),
        new(Training, "epochs_cooldown", "N", "Epochs of the cool-down of const_cooldown."),
        new(Training, "lr_cooldown_end", "LR", "Learning rate at its end."),
        new(Training, "lr_cooldown_power", "P", "Power of the cool-down."),
        new(Training, "grad_clip_norm", "NORM", "Gradients are scaled down to this norm."),
        new(Training, "lock_image", "", "Freeze the vision tower."),
        new(Training, "lock_image_unlocked_groups", "N", "Groups at its end that are trained all the same."),
        new(Training, "lock_text", "", "Freeze the text tower."),
        new(Training, "lock_text_unlocked_layers", "N", "Groups at its end that are trained all the same."),
        new(Training, "grad_checkpointing", "", "Compute blocks again in the backward pass instead of keeping their activations."),
        new(Training, "precision", "fp32|amp_bf16", "Number format: amp_bf16 has matrix products in bfloat16."),
        new(Training, "patch_dropout", "P", "Share of the patches that is dropped."),
        new(Training, "ema_decay", "D", "Decay of a moving average of the weights, which is evaluated and saved."),
        new(Training, "seed", "N", "Seed of weights, order and random changes."),
        new(Often, "log_every_n_steps", "N", "Optimiser steps between two log lines."),
        new(Often, "evaluate_every_n_steps", "N", "Optimiser steps between two evaluations; 0: at the end only."),
        new(Often, "save_every_n_steps", "N", "Optimiser steps between two checkpoints; 0: at the end only."),
        new(Often, "val_frequency", "N", "Epochs between two evaluations; none: --evaluate-every-n-steps counts."),
        new(Often, "save_frequency", "N", "Epochs between two checkpoints; none: --save-every-n-steps counts."),
    ];

    /// <summary>Options of OpenCLIP and its fork that are not here, each with what to use instead.</summary>
    public static IReadOnlyList<RefusedOption> Refused { get; } =
    [
        new("--logs", "the run's folder is --run-dir"),
        new("--log-local", "every process logs into its own --run-dir"),
        new("--name", "the run's folder is --run-dir"),
        new("--resume", "a training goes on by itself from its run directory: give the same --run-dir again"),
        new("--save-most-recent", "the two newest checkpoints are always kept, each complete: use --save-frequency"),
        new("--delete-previous-checkpoint", "only the two newest checkpoints are kept"),
        new("--workers", "images are decoded on all cores: use --threads"),
        new("--dataset-type", "what --train-data names is recognised: .csv and .tsv are tables, other files tar shards, shapes is generated"),
        new("--dataset-resampled", "every pair is seen once an epoch; leave it out"),
        new("--train-data-upsampling-factors", "every pair is seen once an epoch; name a source several times in --train-data"),
        new("--imagenet-v2", "use regcache eval classification on the trained model"),
        new("--zeroshot-frequency", "--imagenet-val is measured with every evaluation: use --val-frequency"),
        new("--cache-dir", "nothing is downloaded: give the path of the weights to --pretrained"),
        new("--pretrained-image", "give --pretrained a file of the vision tower's weights"),
        new("--skip-scheduler", "use --lr-scheduler const"),
        new("--use-bn-sync", "BatchNorm always takes the statistics of the whole batch; leave it out"),
        new("--lock-image-freeze-bn-stats", "--lock-image freezes them, too"),
        new("--lock-text-freeze-layer-norm", "--lock-text freezes the norms, too"),
        new("--image-mean", "put preprocess_cfg into the model's open_clip_config.json"),
        new("--image-std", "put preprocess_cfg into the model's open_clip_config.json"),
        new("--image-interpolation", "put preprocess_cfg into the model's open_clip_config.json"),
        new("--image-resize-mode", "put preprocess_cfg into the model's open_clip_config.json"),
        new("--aug-cfg", "use --crop-scale, --color-jitter, --color-jitter-prob and --gray-scale-prob"),
        new("--force-image-size", "put image_size into a configuration file and name it by --model"),
        new("--force-quick-gelu", "name the architecture with -quickgelu: --model ViT-B-16-quickgelu"),
        new("--force-patch-dropout", "use --patch-dropout"),
        new("--force-custom-text", "put custom_text into a configuration file and name it by --model"),
        new("--local-loss", "the loss of several processes is always that of the whole batch, computed in this way; leave it out"),
        new("--gather-with-grad", "the loss of several processes is always that of the whole batch, computed in this way; leave it out"),
        new("--dist-url", "several processes are started by mpirun or srun and find each other; leave it out"),
        new("--dist-backend", "several processes are started by mpirun or srun and find each other; leave it out"),
        new("--horovod", "several processes are started by mpirun or srun and find each other; leave it out"),
        new("--ddp-static-graph", "several processes are started by mpirun or srun and find each other; leave it out"),
        new("--no-set-device-rank", "several processes are started by mpirun or srun and find each other; leave it out"),
        new("--torchscript", "models are not compiled; leave it out"),
        new("--torchcompile", "models are not compiled; leave it out"),
        new("--trace", "models are not compiled; leave it out"),
        new("--wandb-notes", "nothing is sent over the network: use --report-to tensorboard"),
        new("--wandb-project-name", "nothing is sent over the network: use --report-to tensorboard"),
        new("--debug", "use --verbose"),
        new("--copy-codebase", "result.json has the versions; leave it out"),
        new("--remote-sync", "nothing is sent over the network; copy the run directory"),
        new("--remote-sync-frequency", "nothing is sent over the network; copy the run directory"),
        new("--remote-sync-protocol", "nothing is sent over the network; copy the run directory"),
        new("--coca-caption-loss-weight", "CoCa models are not supported"),
        new("--coca-contrastive-loss-weight", "CoCa models are not supported"),
        new("--distill-model", "use regcache train distill: its teacher is --pretrained"),
        new("--distill-pretrained", "use regcache train distill: its teacher is --pretrained"),
        new("--use-bnb-linear", "quantized training is not supported; quantize the trained model"),
        new("--siglip", "the sigmoid loss is not supported"),
        new("--loss-dist-impl", "the sigmoid loss is not supported"),
    ];

    /// <summary>The options of a training on pairs.</summary>
    /// <typeparam name="T">Its configuration.</typeparam>
    public static TrainingFieldOptions<T> OfPairs<T>()
        where T : ClipTrainingConfig
    {
        static bool Has(Type config, TrainingField field) =>
            config.GetProperties().Any(property => JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name) == field.Name);
        var elsewhere = All.Where(field => !Has(typeof(T), field)).Select(field => new RefusedOption(
            $"--{field.Name.Replace('_', '-')}",
            Has(typeof(DistillTrainingConfig), field) ? "it belongs to regcache train distill" : "it belongs to regcache train finetune"));
        var shortest = typeof(T) == typeof(FinetuneTrainingConfig) ? """{"train_data": "", "student_model": ""}""" : """{"train_data": ""}""";
        return new(All, [.. Refused, .. elsewhere], shortest);
    }

    /// <summary>The option: a flag, or one that takes a value.</summary>
    public Option ToOption(Type type, JsonNode? whenAbsent)
    {
        var name = $"--{Name.Replace('_', '-')}";
        string[] aliases = ForkSpells.Contains(Name) ? [$"--{Name}"] : [.. Aliases];
        if (type == typeof(bool))
        {
            return new Option<bool>(name, aliases) { Description = Help };
        }

        var text = Help.Contains("[default: ", StringComparison.Ordinal) || whenAbsent is null || whenAbsent.ToString().Length == 0
            ? Help
            : $"{Help} [default: {(whenAbsent is JsonArray list ? string.Join(',', list) : whenAbsent)}]";
        return new Option<string>(name, aliases) { Description = text, HelpName = Values };
    }
}

/// <summary>An option that is refused.</summary>
/// <param name="Name">The option.</param>
/// <param name="Instead">What to use instead, as a clause.</param>
internal sealed record RefusedOption(string Name, string Instead)
{
    /// <summary>Other spellings of the option.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>A hidden option that takes anything and ends with the reason.</summary>
    public Option ToOption()
    {
        string[] aliases = TrainingField.ForkSpells.Contains(Name[2..].Replace('-', '_')) ? [$"--{Name[2..].Replace('-', '_')}"] : [];
        var option = new Option<string[]>(Name, [.. aliases, .. Aliases]) { Hidden = true, Arity = ArgumentArity.ZeroOrMore, AllowMultipleArgumentsPerToken = true };
        option.Validators.Add(result => result.AddError($"{Name} is not an option of this command: {Instead}"));
        return option;
    }
}
