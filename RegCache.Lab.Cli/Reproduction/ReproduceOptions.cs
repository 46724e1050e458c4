using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Reproduction;

/// <summary>The options of <see cref="ReproduceCommand"/>: where weights and data lie, and how tables run.</summary>
internal sealed class ReproduceOptions
{
    private const string ModelRoot = "MODEL_ROOT";
    private const string UsualPrompts = "imagenet-prompts.json";

    private static readonly string[] _weightEndings = [".safetensors", ".pt", ".pth", ".bin"];

    private readonly Argument<string?> _table = new("TABLE")
    {
        Description = "The table to run. Without one, all tables are listed.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<bool> _shapes = new("--shapes")
    {
        Description = "Run the table on the demo model and generated pictures instead of the paper's models and data, and say so.",
    };

    private readonly Option<string?> _only = new("--only")
    {
        Description = "Only rows that contain this text, for example \"CLIP-B/16, W8A8\".",
        HelpName = "TEXT",
    };

    private readonly Option<bool> _speed = new("--speed") { Description = "Measure images per second on this machine, too, where the table has them." };

    private readonly Option<string?> _papers = new("--papers")
    {
        Description = "Folder of paper files of your own instead of the kit's.",
        HelpName = "FOLDER",
    };

    private readonly Option<string?> _modelRoot = new("--model-root")
    {
        Description = $"Folder of published weights; the command says which names it looks for. [default: ${ModelRoot}]",
        HelpName = "FOLDER",
    };

    private readonly Option<string?> _prompts = new("--prompts")
    {
        Description = $"JSON file of ImageNet's class names and prompt templates, for CLIP models. [default: {UsualPrompts} in the folder of the weights]",
        HelpName = "FILE",
    };

    private readonly DataOptions _data = new();
    private readonly ExecutionOption _execution = new();
    private readonly RunOptions _run = new();

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(_table);
        foreach (var option in new Option[] { _shapes, _only, _speed, _papers })
        {
            command.Add(option);
        }

        command.AddGroup(OptionGroups.Model, _modelRoot, _prompts);
        _data.AddTo(command, DataVariable.ImageNetValidation, DataVariable.TrainSample, DataVariable.Calibration);
        _execution.AddTo(command);
        _run.AddTo(command);
    }

    /// <summary>The name of the table; null: list them.</summary>
    public string? TableName(ParseResult arguments) => arguments.GetValue(_table);

    /// <summary>Whether the demo model stands for the paper's models.</summary>
    public bool OnDemo(ParseResult arguments) => arguments.GetValue(_shapes);

    /// <summary>Whether throughput is measured.</summary>
    public bool MeasuresSpeed(ParseResult arguments) => arguments.GetValue(_speed);

    /// <summary>Whether only to tell what would be done.</summary>
    public bool IsDryRun(ParseResult arguments) => _run.IsDryRun(arguments);

    /// <summary>Whether a row is wanted.</summary>
    public bool Wants(ParseResult arguments, PublishedRow row) =>
        arguments.GetValue(_only) is not { } text || row.InWords().Contains(text, StringComparison.OrdinalIgnoreCase);

    /// <summary>The tables that can be asked for.</summary>
    /// <exception cref="UserException">A paper file is none.</exception>
    public OpenList<PublishedTable> Tables(ParseResult arguments) =>
        arguments.GetValue(_papers) is { } folder ? PublishedPapers.TablesOf(PublishedPapers.Load(folder)) : PublishedPapers.Tables;

    /// <summary>The folder of all results.</summary>
    public string Folder(ParseResult arguments) => _run.Read(arguments, new()).RunDirectory ?? Path.Combine("runs", "reproduce");

    /// <summary>How the options say that a run is done; the model and the data are those of <see cref="Find"/>.</summary>
    public ExperimentOptions Running(ParseResult arguments) => _run.Read(arguments, new());

    /// <summary>What a run opens, and what it misses. With the demo model nothing is missing.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="runner">What runs it.</param>
    /// <param name="run">The run.</param>
    public FoundInputs Find(ParseResult arguments, TableRunner runner, TableRun run)
    {
        var running = Running(arguments) with { RunDirectory = Path.Combine(Folder(arguments), run.Name) };
        ExperimentOptions Configured(ExperimentOptions options) =>
            runner.Configure(run, options, (configured, bits) => _execution.Read(arguments, configured, bits));
        if (run.OnDemo)
        {
            return new(Configured(TableRunner.OnDemo(running)), [], "");
        }

        if (run.Model.Cannot is { } reason)
        {
            return new(null, [$"{reason}"], "");
        }

        var missing = new List<string>();
        var root = arguments.GetValue(_modelRoot) ?? (Environment.GetEnvironmentVariable(ModelRoot) is { Length: > 0 } set ? set : null);
        var model = Weights(root, run.Model, missing);
        var prompts = run.Model.Kind == PublishedModelKind.Clip && runner.NeedsClassNames ? Prompts(arguments, root, missing) : null;
        var locations = _data.Read(arguments);
        var folders = new Dictionary<DataVariable, string>();
        foreach (var variable in runner.Data(run))
        {
            try
            {
                folders[variable] = runner.Place(run, variable, locations);
            }
            catch (UserException exception)
            {
                missing.Add(exception.Message.TrimEnd('.'));
            }
        }

        var words = $"--model {model}{Option("--pretrained", run.Model.Pretrained)}{Option("--prompts", prompts)}";
        var command = runner.Command(run)?.Replace("MODEL", words, StringComparison.Ordinal)
            ?? $"reproduce {run.Table.Id} --only '{run.Rows[0].InWords()}'";
        if (missing.Count > 0)
        {
            return new(null, missing, $"regcache {command}");
        }

        return new(
            Configured(running with
            {
                Model = model,
                Pretrained = run.Model.Pretrained ?? running.Pretrained,
                Prompts = prompts,
                ValidationImages = folders.GetValueOrDefault(DataVariable.ImageNetValidation),
                SearchImages = folders.GetValueOrDefault(DataVariable.TrainSample),
                CalibrationImages = () => locations.Require(DataVariable.Calibration),
                VitPreprocess = size => new(size.Height, size.Width)
                {
                    Mean = run.Model.Pixels == "imagenet" ? PreprocessOptions.ImageNetMean : RgbValues.All(0.5f),
                    StandardDeviation = run.Model.Pixels == "imagenet" ? PreprocessOptions.ImageNetStandardDeviation : RgbValues.All(0.5f),
                    CropRatio = run.Model.Crop ?? 1,
                },
            }),
            [],
            $"regcache {command}");
    }

    private static string Option(string name, string? value) => value is null ? "" : $" {name} {value}";

    private static string Weights(string? root, PublishedModel model, List<string> missing)
    {
        var place = Path.Combine(root ?? $"${ModelRoot}", model.File);
        var found = root is null ? null : _weightEndings.Select(ending => place + ending).Prepend(place).FirstOrDefault(Path.Exists);
        if (found is null)
        {
            var unset = root is null ? $"; {ModelRoot} is not set, set it or give --model-root FOLDER" : "";
            missing.Add(
                $"weights are missing ({model.What}): put them at {place}, as a folder or as a file that ends in {string.Join(", ", _weightEndings[..^1])} or {_weightEndings[^1]}{unset}");
        }

        return found ?? place;
    }

    private string Prompts(ParseResult arguments, string? root, List<string> missing)
    {
        var place = arguments.GetValue(_prompts) ?? Path.Combine(root ?? $"${ModelRoot}", UsualPrompts);
        if (!File.Exists(place))
        {
            missing.Add($"ImageNet's class names and prompt templates are missing: put them at {place}, or give --prompts FILE");
        }

        return place;
    }
}

/// <summary>What a run of a table opens.</summary>
/// <param name="Options">The options of the experiment; null where something is missing.</param>
/// <param name="Missing">What is missing, a clause each.</param>
/// <param name="Command">The command that does the same; empty where there is none.</param>
internal sealed record FoundInputs(ExperimentOptions? Options, IReadOnlyList<string> Missing, string Command);
