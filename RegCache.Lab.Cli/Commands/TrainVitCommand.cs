using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Vit;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Trains a ViT classifier whose class token and registers enter where the user chooses.</summary>
internal sealed class TrainVitCommand : KitCommand
{
    private const string Teacher = "teacher", Finetune = "finetune";

    private readonly Option<string?> _config = new("--config") { Description = "JSON file that configures the training (models/configs has DeiT's and others); options on the command line win over it.", HelpName = "FILE" };
    private readonly Option<bool> _schema = new("--schema") { Description = "Print the JSON schema of that file and end." };
    private readonly Option<int?> _threads = OptionOf.Threads();
    private readonly Option<int?> _workers = OptionOf.OptionalNumber("--workers", "Threads that make training images. [default: all cores]", 1, 1024);
    private readonly Option<string?> _runDirectory = new("--run-dir", "--output_dir") { Description = "Folder of checkpoints, logs and the model. [default: runs/NAME of the configuration file]", HelpName = "FOLDER" };
    private readonly Option<bool> _force = new("--force") { Description = "Start over, whatever checkpoints the run directory holds." };
    private readonly DecodingOption _decoding = new();
    private readonly Option<ComputeDevice> _device = OptionOf.Device();
    private readonly TrainingFieldOptions<VitTrainingConfig> _fields = new(VitFields.All, VitFields.Refused, """{"dataset": ""}""");
    private readonly SharpnessOption _sharpness = new();
    private readonly TrainReportOption _reportTo = new();

    /// <inheritdoc/>
    public override string Path => "train vit";

    /// <inheritdoc/>
    public override string Description => "Trains a ViT classifier whose class token and registers enter before blocks of your choice.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _workers.Aliases.Add("--num_workers");
        foreach (var option in new Option[] { _config, _schema, _threads, _workers, _runDirectory, _force, _device }.Concat(_decoding.All))
        {
            command.Add(option);
        }

        _sharpness.AddTo(command);
        _reportTo.AddTo(command);
        _fields.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        if (arguments.GetValue(_schema))
        {
            context.Output.Write(TrainingConfigFile.Schema<VitTrainingConfig>());
            return ExitCode.Success;
        }

        var file = arguments.GetValue(_config);
        var config = TrainingConfigFile.Load<VitTrainingConfig>(file, _fields.Read(arguments));
        var sharpness = _sharpness.Read(arguments, config.Sharpness);
        config = config with { SamRho = sharpness?.Radius, SamAdaptive = sharpness is { Adaptive: true } };
        torch.set_num_threads(arguments.GetValue(_threads) ?? Environment.ProcessorCount);
        var device = arguments.GetValue(_device).Find();
        using var data = VitDatasets.All.Find(config.Dataset).Open(config, new(Cancellation: context.Cancellation) { Decoding = _decoding.Read(arguments), Progress = context.Progress });
        using var directory = RunDirectory.Open(DirectoryOf(arguments.GetValue(_runDirectory), file), arguments.GetValue(_force), context.Progress);
        var progress = directory.Progress;
        data.Train.Inventory.Tell(progress);
        data.Test.Inventory.Tell(progress);
        using var teacher = config.Teacher is { } path ? Load(path, new() { Device = device }, progress) : null;
        using var model = Begin(config, data.ClassNames.Count, device, progress);
        var hashes = new[] { (Teacher, config.Teacher), (Finetune, config.Finetune) }
            .Where(origin => origin.Item2 is not null).ToDictionary(origin => origin.Item1, origin => ContentHash.OfFile(PlacementCheckpoint.WeightsOf(origin.Item2!)));
        var best = directory.PathOf($"best_checkpoint_cls_{model.Config.ClassBlock}_reg_{model.Config.RegisterBlock}");
        using var task = new VitTask(model, data, config, teacher, hashes, arguments.GetValue(_workers) ?? 0, progress) { BestFolder = best };
        progress.Message($"{model.Config.ToClip().Vision.LateTokens?.Describe() ?? "class and distillation token from the start"}; {task.TrainedParameters} trained parameters, {task.StepsPerEpoch} steps an epoch.");
        if (config.RepeatedAug)
        {
            progress.Message("Repeated augmentation has no effect in one process: images are shuffled.");
        }

        var metrics = _reportTo.Train(
            context, directory, task, task.Loop, step => new EpochLog(directory.PathOf("log.txt"), step, task.StepsPerEpoch, task.TrainedParameters));
        task.Finish();
        model.Save(directory.PathOf("model"));
        directory.Progress.Message($"The best model, by {task.Stopping.Options.Metric}, is that of step {task.Stopping.BestStep}: {best}.");
        directory.WriteResult(Provenance(context, config, task, hashes, data), new
        {
            config, classes = data.ClassNames, metrics, best = new { metric = task.Stopping.Options.Metric, value = task.Stopping.Best, step = task.Stopping.BestStep },
        });
        foreach (var (name, value) in metrics)
        {
            context.Output.WriteLine($"{name}: {value:0.####}");
        }

        return ExitCode.Success;
    }

    private static DynamicVit Begin(VitTrainingConfig config, int classes, torch.Device device, IWorkProgress progress)
    {
        if (config.Finetune is not { } path)
        {
            return DynamicVit.Create(config.Architecture(classes), config.Seed, device);
        }

        var loaded = Load(
            path,
            new()
            {
                Classes = classes,
                ImageSize = (config.InputSize, config.InputSize),
                Registers = config.NumReg,
                ClassBlock = config.ClsPos,
                RegisterBlock = config.RegPos,
                DistillationBlock = config.DistPos,
                Seed = config.Seed,
                Device = device,
            },
            progress);
        return new(config.WithNoise(loaded.Config), loaded.Weights);
    }

    private static DynamicVit Load(string path, PlacementLoadOptions options, IWorkProgress progress)
    {
        var assumptions = new List<string>();
        var model = DynamicVit.Load(path, options with { Assumptions = assumptions });
        assumptions.ForEach(progress.Message);
        return model;
    }

    private static Provenance Provenance(CommandContext context, VitTrainingConfig config, VitTask task, Dictionary<string, string> hashes, VitData data) => new(
        DateTimeOffset.Now,
        context.CommandLine,
        config.Seed,
        $"train vit, {task.Steps} steps",
        hashes,
        new Dictionary<string, string> { ["train"] = data.Train.ComputeFingerprint(), ["test"] = data.Test.ComputeFingerprint() },
        KitVersions.Current)
    {
        Inventory = [data.Train.Inventory, data.Test.Inventory],
        Architecture = task.Model.Config.ToJson(),
    };

    // A pipe gives a run no name.
    private static string DirectoryOf(string? given, string? file) =>
        given ?? (file is null || file.StartsWith("/dev/", StringComparison.Ordinal) || file.StartsWith("/proc/", StringComparison.Ordinal)
            ? throw new UserException("The run has no name; give --run-dir.")
            : System.IO.Path.Combine("runs", System.IO.Path.GetFileNameWithoutExtension(file)));
}
