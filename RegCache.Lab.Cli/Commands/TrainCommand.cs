using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>A command that trains on image-text pairs: its configuration from a file and the command line, its run directory, data and result.</summary>
/// <typeparam name="T">The configuration.</typeparam>
internal abstract class TrainCommand<T> : KitCommand
    where T : ClipTrainingConfig
{
    private readonly TrainingRunOptions _run = new();
    private readonly Option<bool> _skipBadImages = new("--skip-bad-images") { Description = "Leave out pairs whose image or text cannot be read, naming them, instead of stopping." };
    private readonly TrainingFieldOptions<T> _fields = TrainingField.OfPairs<T>();
    private readonly SharpnessOption _sharpness = new();
    private readonly TrainReportOption _reportTo = new();

    /// <inheritdoc/>
    public override bool SharesWork => true;

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _run.AddTo(command);
        command.Add(_skipBadImages);
        _sharpness.AddTo(command);
        _reportTo.AddTo(command);
        _fields.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        if (_run.WantsSchema(arguments))
        {
            context.Output.Write(TrainingConfigFile.Schema<T>());
            return ExitCode.Success;
        }

        var file = _run.ReadFile(arguments);
        var given = _fields.Read(arguments);
        if (file is null && given.Count == 0)
        {
            throw new UserException("--config FILE is missing: it holds the training's configuration (--schema lists its fields); options such as --train-data do, too.");
        }

        var config = TrainingConfigFile.Load<T>(file, given);
        var sharpness = _sharpness.Read(arguments, config.Sharpness);
        config = (T)((ClipTrainingConfig)config with { SamRho = sharpness?.Radius, SamAdaptive = sharpness is { Adaptive: true } });
        var device = _run.Prepare(arguments);
        using var directory = _run.OpenDirectory(arguments, context.Progress);
        var decoding = _run.ReadDecoding(arguments);
        using var train = Pairs(context, decoding, config, config.TrainData, ShapesSplit.Train, config.TrainNumSamples, "train_data");
        train.Inventory.Tell(directory.Progress);
        using var validation = config.ValData is { } data ? Pairs(context, decoding, config, data, ShapesSplit.Retrieval, config.ValNumSamples, "val_data") : null;
        validation?.Inventory.Tell(directory.Progress);
        using var labelled = config.ImagenetVal is { } address
            ? ImageSetFormats.Open(
                address, new(NeedsLabels: true, Cancellation: context.Cancellation) { Progress = directory.Progress, Decoding = decoding })
            : null;
        labelled?.Inventory.Tell(directory.Progress);
        var prompts = labelled is null ? null : ZeroShotEvaluation.PromptsOf(labelled, config.Prompts);
        var unreadable = arguments.GetValue(_skipBadImages) ? new UnreadablePairs(directory.Progress) : null;
        using var start = Begin(config, device, directory.Progress);
        if (start.Model.Config.Vision.Memory is not null)
        {
            directory.Progress.Message(MemoryReport.Of(start.Model.Config).ToString());
        }

        using var task = Prepare(config, start, new(train, validation, unreadable, directory, context.Cancellation));
        var source = labelled is null ? null : new ImageSetSource(
            labelled, new(start.Preprocess), options: new() { SkipBadImages = arguments.GetValue(_skipBadImages) }, cancellation: context.Cancellation);
        task.ZeroShot = source is null ? null : new(source, prompts!, start.Tokenizer, config.BatchSize, directory.Progress, context.Cancellation) { Processes = task.Processes };
        var metrics = _reportTo.Train(context, directory, task, task.Loop);
        source?.TellUnreadable(directory.Progress);
        string[] reasons = [.. task.Processes.GatherTexts(string.Join('\n', unreadable?.Reasons ?? []))
            .SelectMany(part => part.Split('\n', StringSplitOptions.RemoveEmptyEntries)).Distinct().Order(StringComparer.Ordinal)];
        if (task.Processes.Rank > 0)
        {
            return ExitCode.Success;
        }

        var best = SaveModels(task, start, directory, config.Tokenizer);
        if (reasons.Length > 0)
        {
            directory.Progress.Message($"{reasons.Length} unreadable pairs were left out.");
        }

        var provenance = new Provenance(
            DateTimeOffset.Now,
            context.CommandLine,
            config.Seed,
            $"{config.Command}, {task.Steps} steps",
            start.Hashes,
            new[] { ("train_data", train.Fingerprint), ("val_data", validation?.Fingerprint), ("imagenet_val", source?.Fingerprint) }
                .Where(set => set.Item2 is not null).ToDictionary(set => set.Item1, set => set.Item2!),
            KitVersions.Current)
        {
            Inventory = [.. new[] { train.Inventory, validation?.Inventory, labelled?.Inventory }.OfType<DataInventory>()],
        };
        directory.WriteResult(provenance, new { config, processes = task.Processes.Size, metrics, best, unreadable = reasons });
        foreach (var (name, value) in metrics)
        {
            context.Output.WriteLine($"{name}: {TrainingLoop.InWords(value)}");
        }

        return ExitCode.Success;
    }

    /// <summary>Loads or draws the models that the training begins with.</summary>
    protected abstract TrainingStart Begin(T config, torch.Device device, IWorkProgress progress);

    /// <summary>Makes the training.</summary>
    protected abstract PairTask Prepare(T config, TrainingStart start, TrainingInputs inputs);

    /// <summary>Loads a model and tells what was assumed about it.</summary>
    /// <param name="path">The model.</param>
    /// <param name="config">The training.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="progress">Told of the assumptions.</param>
    /// <param name="backend">How its blocks run without gradients; null: on tensor operators, as what is trained must.</param>
    protected static LoadedClip Load(string path, T config, torch.Device device, IWorkProgress progress, IBackend? backend = null)
    {
        var loaded = LoadedClip.Load(path, new()
        {
            Config = config.Model, WeightsKey = config.WeightsKey, LiteralActivation = config.LiteralActivation, Device = device, Backend = backend,
        });
        loaded.Assumptions.ToList().ForEach(progress.Message);
        return loaded;
    }

    /// <summary>The tokenizer that the configuration names, or the one beside the weights.</summary>
    protected static ITokenizer Tokenizer(T config, ClipConfig architecture, LoadedClip? loaded)
    {
        var text = architecture.Text ?? throw new UserException("The model has no text tower, which training on pairs needs.");
        if (config.Tokenizer is not { } path)
        {
            return loaded?.RequireTokenizer() ?? throw new UserException("`tokenizer` is missing: give the folder or file of the model's vocabulary.");
        }

        var words = Directory.Exists(path) ? System.IO.Path.Combine(path, WordTokenizer.FileName) : path;
        ITokenizer tokenizer = System.IO.Path.GetFileName(words) == WordTokenizer.FileName && File.Exists(words)
            ? WordTokenizer.Load(words)
            : ClipTokenizer.Load(path, new() { ContextLength = text.ContextLength, PadId = text.PadId, Cleaning = text.Cleaning });
        return tokenizer.ContextLength == text.ContextLength
            ? tokenizer
            : throw new UserException(
                $"`tokenizer` makes rows of {tokenizer.ContextLength} ids, but the model takes {text.ContextLength}; use the one that belongs to the model.");
    }

    private static IPairSource Pairs(CommandContext context, DecodingOptions decoding, T config, string data, ShapesSplit split, int count, string field)
    {
        if (ShapesImages.FindPairs(data, split, count, context.Cancellation) is { } generated)
        {
            return generated;
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

    // The last weights go to model/; where early stopping chose others, those go to best/.
    private static object? SaveModels(PairTask task, TrainingStart start, RunDirectory directory, string? tokenizer)
    {
        task.Finish();
        start.Save(directory.PathOf("model"), tokenizer);
        if (task.Stopping is not { Options.Patience: > 0 } stopping)
        {
            return null;
        }

        var (metric, value, step) = (stopping.Options.Metric, stopping.Best, stopping.BestStep);
        if (new TrainingCheckpoints(directory.PathOf(TrainReportOption.Checkpoints), keep: 2).RestoreBest(task) is null)
        {
            return null;
        }

        task.Finish();
        start.Save(directory.PathOf("best"), tokenizer);
        directory.Progress.Message($"The best model, by {metric}, is that of step {step}: {directory.PathOf("best")}.");
        return new { metric, value, step };
    }
}

/// <summary>What a training begins with.</summary>
/// <param name="Model">The model that is trained.</param>
/// <param name="Preprocess">How images become input.</param>
/// <param name="Tokenizer">Its tokenizer.</param>
/// <param name="Origins">The models that it was made from, by their role; disposed with it.</param>
internal sealed record TrainingStart(ClipModel Model, PreprocessOptions Preprocess, ITokenizer Tokenizer, IReadOnlyDictionary<string, LoadedClip> Origins) : IDisposable
{
    /// <summary>Hashes of the weights that it was made from.</summary>
    public IReadOnlyDictionary<string, string> Hashes => Origins.ToDictionary(origin => origin.Key, origin => origin.Value.Hash);

    /// <summary>Writes the model with all that lies beside the one that it was made from.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="tokenizer">Folder or file of a tokenizer that was given; null: the origin's.</param>
    public void Save(string folder, string? tokenizer) =>
        ModelFolder.Save(Model, folder, Origins.Values.FirstOrDefault() is { } origin ? ModelFolder.Open(origin.Location) : null, tokenizer);

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        foreach (var origin in Origins.Values)
        {
            origin.Dispose();
        }
    }
}

/// <summary>What a training works on.</summary>
/// <param name="Train">The pairs.</param>
/// <param name="Validation">Pairs for the evaluation, or null.</param>
/// <param name="Unreadable">Receives pairs that cannot be read; null: such a pair ends the training.</param>
/// <param name="Directory">The run directory.</param>
/// <param name="Cancellation">Cancelled by Ctrl-C.</param>
internal sealed record TrainingInputs(
    IPairSource Train, IPairSource? Validation, UnreadablePairs? Unreadable, RunDirectory Directory, CancellationToken Cancellation);
