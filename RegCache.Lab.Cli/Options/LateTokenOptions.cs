using System.CommandLine;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Placement;

namespace RegCache.Lab.Cli.Options;

/// <summary>
/// The options that say which classifier with late tokens to load, and what its file does not tell. Each takes the spelling of the published
/// code, too.
/// </summary>
internal sealed class LateTokenOptions
{
    private readonly Option<string> _model = new("--model", "--model_path", "--model-path")
    {
        Description = "Classifier: a folder that `train vit` wrote, or a weight file: safetensors or PyTorch's.",
        HelpName = "PATH",
        Required = true,
    };

    private readonly Option<int?> _classBlock = Block("cls", "The class token enters before this block.");
    private readonly Option<int?> _registerBlock = Block("reg", "The registers enter before this block.");
    private readonly Option<int?> _distillationBlock = Block("dist", "The distillation token enters before this block.");

    private readonly Option<int?> _registers = Aliased(OptionOf.OptionalNumber("--num-reg", "Registers, to be compared with the file's.", 0, 4096), "--num_reg");

    private readonly Option<int?> _heads = OptionOf.OptionalNumber(
        "--heads", "Attention heads, where no configuration tells them. [default: as published models of its shapes]", 1, 4096);

    private readonly Option<string?> _key = new("--weights-key")
    {
        Description = "Which model of a checkpoint that holds several: model_ema, ... [default: the only one, or `model`]",
        HelpName = "KEY",
    };

    private readonly Option<string?> _imageSize = new("--img-size", "--img_size")
    {
        Description = "Input size: PIXELS or HEIGHTxWIDTH; the position table is resized. [default: the model's]",
        HelpName = "SIZE",
    };

    private readonly Option<double> _crop = new("--crop-ratio", "--eval-crop-ratio")
    {
        Description = $"Part of an image's shorter side that is cut out. [default: {EvaluationTransform.CropRatio}; inputs of up to 32 pixels show all of it]",
        HelpName = "SHARE",
        DefaultValueFactory = _ => EvaluationTransform.CropRatio,
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command) => command.AddGroup(
        OptionGroups.Model, _model, _classBlock, _registerBlock, _distillationBlock, _registers, _heads, _key, _imageSize, _crop);

    /// <summary>The path of the model.</summary>
    public string ReadPath(ParseResult arguments) => arguments.GetRequiredValue(_model);

    /// <summary>What they say of the model.</summary>
    /// <exception cref="UserException">The input size is none.</exception>
    public PlacementLoadOptions ReadModel(ParseResult arguments) => new()
    {
        ClassBlock = arguments.GetValue(_classBlock),
        RegisterBlock = arguments.GetValue(_registerBlock),
        DistillationBlock = arguments.GetValue(_distillationBlock),
        Registers = arguments.GetValue(_registers),
        Heads = arguments.GetValue(_heads),
        WeightsKey = arguments.GetValue(_key),
        ImageSize = arguments.GetValue(_imageSize) is { } size ? ParseSize("--img-size", size) : null,
    };

    /// <summary>What they say, for an experiment.</summary>
    public ExperimentOptions Read(ParseResult arguments, ExperimentOptions options)
    {
        var model = ReadModel(arguments);
        return options with
        {
            Model = ReadPath(arguments),
            Heads = model.Heads,
            WeightsKey = model.WeightsKey,
            LateTokens = model,
            VitPreprocess = size => EvaluationTransform.Of(size, arguments.GetValue(_crop)),
        };
    }

    /// <summary>Part of an image's shorter side that is cut out.</summary>
    public double ReadCropRatio(ParseResult arguments) => arguments.GetValue(_crop);

    /// <summary>A size as text: "224" or "224x160".</summary>
    /// <exception cref="UserException">It is none.</exception>
    public static (int Height, int Width) ParseSize(string option, string text)
    {
        var sides = text.Split('x');
        if (sides.Length is < 1 or > 2)
        {
            throw new UserException($"{option} must be PIXELS or HEIGHTxWIDTH, not '{text}'");
        }

        var numbers = sides.Select(side => MethodOption.ParseNumber(option, side, 1, 1 << 20)).ToArray();
        return (numbers[0], numbers[^1]);
    }

    /// <summary>Adds other spellings to an option.</summary>
    public static Option<T> Aliased<T>(Option<T> option, params string[] names)
    {
        foreach (var name in names)
        {
            option.Aliases.Add(name);
        }

        return option;
    }

    private static Option<int?> Block(string kind, string what) =>
        Aliased(OptionOf.OptionalNumber($"--{kind}-pos", $"{what} [default: as the file says]", 0, 4096), $"--{kind}_pos");
}
