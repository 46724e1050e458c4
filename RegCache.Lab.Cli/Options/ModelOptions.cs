using System.CommandLine;

namespace RegCache.Lab.Cli.Options;

/// <summary>The options that say which model to load and how it classifies.</summary>
internal sealed class ModelOptions
{
    private readonly Option<string> _model = new("--model")
    {
        Description = "Model folder (weights, configuration, tokenizer) or weight file: safetensors, PyTorch, TorchScript, HuggingFace.",
        HelpName = "PATH",
        Required = true,
    };

    private readonly Option<string?> _config = new("--model-config")
    {
        Description = "Configuration: a JSON file or a name such as ViT-B-16. [default: the folder's, else from the tensors' shapes]",
        HelpName = "FILE|NAME",
    };

    private readonly Option<string?> _pretrained = new("--pretrained")
    {
        Description = "Tag of the weights, for file names and the choice of activation: openai, laion2b, ... [default: local]",
        HelpName = "TAG",
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
        Description = "JSON file with class names and prompt templates, for models with a text tower. [default: class folder names, \"a photo of a {}.\"]",
        HelpName = "FILE",
    };

    /// <summary>Adds the options of the model alone.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _model, _config, _pretrained, _heads, _key, _literal })
        {
            command.Add(option);
        }
    }

    /// <summary>Adds the options of the classifier.</summary>
    public void AddClassifierTo(Command command)
    {
        command.Add(_classifier);
        command.Add(_prompts);
    }

    /// <summary>What they say.</summary>
    public ModelSettings Read(ParseResult arguments) => new(
        arguments.GetRequiredValue(_model),
        arguments.GetValue(_config),
        arguments.GetValue(_pretrained) ?? "local",
        arguments.GetValue(_literal),
        arguments.GetValue(_classifier),
        arguments.GetValue(_prompts),
        arguments.GetValue(_heads),
        arguments.GetValue(_key));
}
