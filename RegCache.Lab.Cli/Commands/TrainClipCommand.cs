using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.Clip;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Trains CLIP on image-text pairs.</summary>
internal sealed class TrainClipCommand : KitCommand
{
    private const string ShapesData = "shapes";

    private readonly Option<string?> _config = new("--config") { Description = "JSON file that configures the training.", HelpName = "FILE" };
    private readonly Option<bool> _schema = new("--schema") { Description = "Print the JSON schema of that file and end." };
    private readonly Option<int?> _threads = OptionOf.Threads();
    private readonly Option<string?> _runDirectory = new("--run-dir") { Description = "Folder of checkpoints, logs and the model. [default: runs/NAME of the configuration file]", HelpName = "FOLDER" };
    private readonly Option<bool> _force = new("--force") { Description = "Start over, whatever checkpoints the run directory holds." };

    private readonly Option<bool> _skipBadImages = new("--skip-bad-images") { Description = "Leave out pairs whose image or text cannot be read, naming them, instead of stopping." };

    private readonly DecodingOption _decoding = new();

    private readonly Option<ComputeDevice> _device = OptionOf.Device();

    private readonly SharpnessOption _sharpness = new();

    private readonly TrainReportOption _reportTo = new();

    /// <inheritdoc/>
    public override string Path => "train clip";

    /// <inheritdoc/>
    public override string Description => "Trains CLIP on image-text pairs, from random or given weights.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        foreach (var option in new Option[] { _config, _schema, _threads, _runDirectory, _force, _skipBadImages, _device }.Concat(_decoding.All))
        {
            command.Add(option);
        }

        _sharpness.AddTo(command);
        _reportTo.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        if (arguments.GetValue(_schema))
        {
            context.Output.Write(ClipTrainingConfigFile.Schema());
            return ExitCode.Success;
        }

        var file = arguments.GetValue(_config) ?? throw new UserException("--config FILE is missing: it holds the training's configuration (--schema lists its fields).");
        var config = ClipTrainingConfigFile.Load(file);
        var sharpness = _sharpness.Read(arguments, config.Sharpness);
        config = config with { SamRho = sharpness?.Radius, SamAdaptive = sharpness is { Adaptive: true } };
        torch.set_num_threads(arguments.GetValue(_threads) ?? Environment.ProcessorCount);
        var device = arguments.GetValue(_device).Find();
        using var directory = RunDirectory.Open(
            arguments.GetValue(_runDirectory) ?? DefaultDirectory(file),
            arguments.GetValue(_force),
            context.Progress);
        var decoding = _decoding.Read(arguments);
        using var train = Pairs(context, config, config.TrainData, ShapesSplit.Train, config.TrainNumSamples, "train_data", decoding);
        train.Inventory.Tell(directory.Progress);
        using var validation = config.ValData is { } data
            ? Pairs(context, config, data, ShapesSplit.Retrieval, config.ValNumSamples, "val_data", decoding)
            : null;
        validation?.Inventory.Tell(directory.Progress);
        using var start = Start(config, device, directory.Progress);
        var unreadable = arguments.GetValue(_skipBadImages) ? new UnreadablePairs(directory.Progress) : null;
        using var task = new ClipTask(start.Model, train, validation, start.Preprocess, start.Tokenizer, config, unreadable);
        var metrics = _reportTo.Train(context, directory, task, config.Loop);
        task.Finish();
        Save(start.Model, directory.PathOf("model"));
        var reasons = unreadable?.Reasons ?? [];
        if (reasons.Count > 0)
        {
            directory.Progress.Message($"{reasons.Count} unreadable pairs were left out.");
        }

        var provenance = new Provenance(
            DateTimeOffset.Now,
            context.CommandLine,
            config.Seed,
            $"CLIP training, {task.Steps} steps",
            start.Hash is { } hash ? new Dictionary<string, string> { ["pretrained"] = hash } : [],
            new[] { ("train_data", (IPairSource?)train), ("val_data", validation) }
                .Where(set => set.Item2 is not null).ToDictionary(set => set.Item1, set => set.Item2!.Fingerprint),
            KitVersions.Current)
        {
            Inventory = validation is null ? [train.Inventory] : [train.Inventory, validation.Inventory],
        };
        directory.WriteResult(provenance, new { config, metrics, unreadable = reasons });
        foreach (var (name, value) in metrics)
        {
            context.Output.WriteLine($"{name}: {value:0.####}");
        }

        return ExitCode.Success;
    }

    private static IPairSource Pairs(
        CommandContext context, ClipTrainingConfig config, string data, ShapesSplit split, int count, string field, DecodingOptions decoding)
    {
        if (data == ShapesData)
        {
            return new ShapesImages(ShapesSet.Generate(split, count));
        }

        var files = ShardNames.Expand(data);
        var missing = files.FirstOrDefault(file => !System.IO.Path.Exists(file));
        if (missing is not null)
        {
            throw new UserException($"`{field}`: {missing} does not exist; correct the path or the range.");
        }

        return files.Any(CsvPairSource.Recognises)
            ? files.Count == 1
                ? new CsvPairSource(files[0], config.Csv, decoding)
                : throw new UserException($"`{field}` names {files.Count} files with a table among them; name one table, or tar shards.")
            : new WebDatasetSource(files, decoding, context.Progress, context.Cancellation);
    }

    // A pipe gives a run no name.
    private static string DefaultDirectory(string file) => file.StartsWith("/dev/", StringComparison.Ordinal) || file.StartsWith("/proc/", StringComparison.Ordinal)
        ? throw new UserException($"--config {file} gives the run no name; give --run-dir.")
        : System.IO.Path.Combine("runs", System.IO.Path.GetFileNameWithoutExtension(file));

    private static TrainingStart Start(ClipTrainingConfig config, torch.Device device, IWorkProgress progress)
    {
        if (config.Pretrained is { } path)
        {
            var loaded = LoadedClip.Load(path, new() { Config = config.Model, WeightsKey = config.WeightsKey, Device = device });
            loaded.Assumptions.ToList().ForEach(progress.Message);
            return new(loaded.Model, loaded.Preprocess, Tokenizer(config, loaded.Model.Config), loaded.Hash);
        }

        var architecture = ClipConfigs.Find(config.Model) ?? ClipConfigJson.Load(config.Model);
        using var drawn = ClipInitialization.Draw(architecture, config.Seed);
        var weights = new WeightTable(
            drawn.Source, drawn.Names.Select(name => KeyValuePair.Create(name, drawn[name].to(device, copy: true))));
        var size = architecture.Vision.ImageSize;
        return new(new(architecture, weights), new PreprocessOptions(size.Height, size.Width), Tokenizer(config, architecture), Hash: null);
    }

    private static ITokenizer Tokenizer(ClipTrainingConfig config, ClipConfig architecture)
    {
        var text = architecture.Text ?? throw new UserException($"`model` {config.Model} has no text tower, which CLIP training needs.");
        var words = Directory.Exists(config.Tokenizer) ? System.IO.Path.Combine(config.Tokenizer, WordTokenizer.FileName) : config.Tokenizer;
        ITokenizer tokenizer = System.IO.Path.GetFileName(words) == WordTokenizer.FileName && File.Exists(words)
            ? WordTokenizer.Load(words)
            : ClipTokenizer.Load(config.Tokenizer, new() { ContextLength = text.ContextLength, PadId = text.PadId, Cleaning = text.Cleaning });
        return tokenizer.ContextLength == text.ContextLength
            ? tokenizer
            : throw new UserException(
                $"`tokenizer` makes rows of {tokenizer.ContextLength} ids, but the model takes {text.ContextLength}; use the one that belongs to the model.");
    }

    private static void Save(ClipModel model, string folder)
    {
        SafetensorsWriter.Write(
            System.IO.Path.Combine(folder, "open_clip_model.safetensors"),
            model.Weights.Names.Select(name => WeightEntry.FromTensor(name, model.Weights[name])),
            new Dictionary<string, string> { ["format"] = "pt" });
        AtomicFile.WriteText(System.IO.Path.Combine(folder, "open_clip_config.json"), ClipConfigJson.ToJson(model.Config) + "\n");
    }

    private sealed record TrainingStart(ClipModel Model, PreprocessOptions Preprocess, ITokenizer Tokenizer, string? Hash) : IDisposable
    {
        public void Dispose() => Model.Dispose();
    }
}
