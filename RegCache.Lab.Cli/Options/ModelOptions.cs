using System.CommandLine;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options that say which model to load and how it classifies.</summary>
/// <param name="whenAbsent">What the command does without <c>--model</c>, for help texts; null: it needs one.</param>
/// <param name="classifies">Whether the command has classes, named by options.</param>
internal sealed class ModelOptions(string? whenAbsent = null, bool classifies = true)
{
    private readonly Option<string?> _model = new("--model")
    {
        Description = "Model folder (weights, configuration, tokenizer) or weight file: safetensors, PyTorch, TorchScript, HuggingFace."
            + (whenAbsent is null ? "" : $" [default: {whenAbsent}]"),
        HelpName = "PATH",
        Required = whenAbsent is null,
    };

    private readonly Option<string?> _config = new("--model-config")
    {
        Description = "Configuration: a JSON file or a name such as ViT-B-16. [default: the folder's, else from the tensors' shapes]",
        HelpName = "FILE|NAME",
    };

    private readonly Option<string> _pretrained = new("--pretrained")
    {
        Description = "Tag of the weights: openai, laion2b, ... It is part of file names and decides the activation.",
        HelpName = "TAG",
        DefaultValueFactory = _ => "local",
    };

    private readonly Option<int?> _heads = OptionOf.OptionalNumber(
        "--heads", "Attention heads of the vision tower, where no configuration tells them. [default: as published models of its shapes]", 1, 4096);

    private readonly Option<string?> _key = new("--weights-key")
    {
        Description = "Which model of a checkpoint that holds several: model_ema, state_dict.teacher, ... [default: the only one]",
        HelpName = "KEY",
    };

    private readonly Option<bool> _literal = new("--literal-activation")
    {
        Description = "Run the activation that the configuration names, even where the weights are known to need quick GELU.",
    };

    private readonly Option<string?> _classifier = new("--classifier")
    {
        Description = "Ready zero-shot classifier: a safetensors file with a tensor `classifier` [E,K].",
        HelpName = "FILE",
    };

    private readonly Option<string?> _prompts = new("--prompts")
    {
        Description = "JSON file of class names and prompt templates, for models with a text tower. [default: the set's names and templates; names of class folders, \"a photo of a {}.\"]",
        HelpName = "FILE",
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command) => command.AddGroup(OptionGroups.Model, [_model, _config, _pretrained, _heads, _key, _literal, .. classifies ? new Option[] { _classifier, _prompts } : []]);

    /// <summary>What they say.</summary>
    public ExperimentOptions Read(ParseResult arguments, ExperimentOptions options) => options with
    {
        Model = arguments.GetValue(_model),
        ModelConfig = arguments.GetValue(_config),
        Pretrained = arguments.GetRequiredValue(_pretrained),
        Heads = arguments.GetValue(_heads),
        WeightsKey = arguments.GetValue(_key),
        LiteralActivation = arguments.GetValue(_literal),
        Classifier = arguments.GetValue(_classifier),
        Prompts = arguments.GetValue(_prompts),
    };
}
