using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Pooling.Language;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Language;

namespace RegCache.Lab.Cli.Options;

/// <summary>
/// The fields of a language model's training as options: <c>--batch-size 16</c> is the field <c>batch_size</c>, and wins over the file. Upstream's
/// spelling with underscores is taken, too.
/// </summary>
internal sealed class LmFieldOptions
{
    private const string Model = "Model";
    private const string Boundaries = "Boundaries";
    private const string Training = "Training";
    private const string Evaluation = "Evaluation";

    private static readonly (string Group, string Name, string Values, string Help)[] _fields =
    [
        (OptionGroups.Data, "data", "PATH", "Folder with train.txt, valid.txt and test.txt, or one file such as text8, which is split 90 : 5 : 5."),
        (OptionGroups.Data, "shuffle", "true|false", "Whether a pass reads its chunks in random order."),
        (OptionGroups.Data, "roll", "true|false", "Whether every pass begins with streams turned by a random amount."),
        (Model, "d_model", "N", "Channels."),
        (Model, "n_head", "N", "Attention heads."),
        (Model, "d_head", "N", "Channels of a head."),
        (Model, "d_inner", "N", "Channels inside the MLPs and the boundary predictor."),
        (Model, "model_config", "LAYERS", "Layers before, on and after the pooled sequence."),
        (Boundaries, "boundaries_type", string.Join('|', BoundaryTypes.All.Names), "How boundaries are found."),
        (Boundaries, "fixed_sf", "N", "Characters between two fixed boundaries."),
        (Boundaries, "tokenizer_path", "FILE", "Unigram vocabulary: a SentencePiece file .model, or the JSON of a run. [default: one is trained]"),
        (Boundaries, "unigram_size", "N", "Pieces of a Unigram vocabulary that is trained."),
        (Boundaries, "spikes_left", "N", "Earlier positions that an entropy spike exceeds."),
        (Boundaries, "temp", "T", "Temperature of drawn boundaries."),
        (Boundaries, "prior", "RATE", "Rate of drawn boundaries, between 0 and 1."),
        (Boundaries, "legacy_boundary_loss", "true|false", "Take the sigmoid twice in the supervised loss, as upstream does."),
        (Training, "max_step", "N", "Optimiser steps."),
        (Training, "tgt_len", "N", "Characters of a chunk."),
        (Training, "batch_size", "N", "Streams."),
        (Training, "batch_chunk", "N", "Parts of a batch that are computed one after the other."),
        (Training, "lr", "LR", "Learning rate after the warm-up."),
        (Training, "warmup_step", "N", "Steps of the warm-up."),
        (Training, "clip", "NORM", "Gradients are scaled down to this norm."),
        (Training, "adam_b1", "B", "Decay of the first moment."),
        (Training, "adam_b2", "B", "Decay of the second moment."),
        (Training, "adam_eps", "E", "Added to the root of the second moment."),
        (Training, "dropout", "P", "Share of values that training drops."),
        (Training, "dropatt", "P", "Share of attention probabilities that training drops."),
        (Training, "legacy_first_step", "true|false", "Give the first step the full learning rate, as upstream does."),
        (Training, "opt", string.Join('|', Optimizers.All.Names), "The optimiser."),
        (Training, "momentum", "M", "Momentum of sgd."),
        (Training, "wd", "WD", "Weight decay of matrices."),
        (Training, "sam_rho", "RHO", "Radius of sharpness-aware minimisation, about 0.05; a step then takes twice as long. [default: off]"),
        (Training, "sam_adaptive", "true|false", "Every parameter climbs in proportion to its own magnitude."),
        (Training, "ema_decay", "D", "Decay of a moving average of the weights, which is evaluated and saved. [default: off]"),
        (Training, "seed", "N", "Seed of weights, noise and order."),
        (Training, "log_interval", "N", "Steps between two log lines."),
        (Training, "save_interval", "N", "Steps between two checkpoints; 0: at the end only."),
        (Evaluation, "eval_interval", "N", "Steps between two evaluations; 0: at the end only."),
        (Evaluation, "eval_max_steps", "N", "Chunks after which an evaluation during training ends."),
        (Evaluation, "eval_tgt_len", "N", "Characters that a chunk of the evaluation scores."),
        (Evaluation, "eval_total_len", "N", "Characters that it reads at most, context included."),
        (Evaluation, "eval_batch_size", "N", "Streams of an evaluation. [default: --batch-size]"),
        (Evaluation, "sample_in_eval", "true|false", "Draw boundaries in evaluations, too, as upstream does."),
    ];

    private readonly List<(string Group, string Name, Option<string> Option)> _options;

    /// <summary>Makes the options.</summary>
    public LmFieldOptions()
    {
        var defaults = JsonSerializer.SerializeToNode(new LmTrainingConfig { Data = "" }, ReportJson.Options)!.AsObject();
        _options = [.. _fields.Select(field => (field.Group, field.Name, new Option<string>($"--{field.Name.Replace('_', '-')}", Aliases(field.Name))
        {
            HelpName = field.Values,
            Description = field.Help.Contains("[default", StringComparison.Ordinal) || $"{defaults[field.Name]}".Length == 0
                ? field.Help
                : $"{field.Help} [default: {Text(defaults[field.Name])}]",
        }))];
    }

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command) => _options.ForEach(entry => command.AddGroup(entry.Group, entry.Option));

    /// <summary>What was given, as texts under the fields' names.</summary>
    public IReadOnlyDictionary<string, string> Read(ParseResult arguments) => _options
        .Where(entry => arguments.GetResult(entry.Option) is { Implicit: false })
        .ToDictionary(entry => entry.Name, entry => arguments.GetValue(entry.Option)!);

    private static string[] Aliases(string name) => name.Contains('_', StringComparison.Ordinal) ? [$"--{name}"] : [];

    private static string Text(JsonNode? value) => value is JsonValue flag && flag.TryGetValue<bool>(out var isSet) ? (isSet ? "true" : "false") : $"{value}";
}
