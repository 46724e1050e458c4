using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
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

    private readonly TrainingRunOptions _run = new(" (models/configs has DeiT's and others)", "--output_dir");
    private readonly Option<int?> _workers = OptionOf.OptionalNumber("--workers", "Threads that make training images. [default: all cores]", 1, 1024);
    private readonly TrainingFieldOptions<VitTrainingConfig> _fields = new(VitFields.All, VitFields.Refused, """{"dataset": ""}""");
    private readonly SharpnessOption _sharpness = new();
    private readonly TrainReportOption _reportTo = new();

    /// <inheritdoc/>
    public override string Path => "train vit";

    /// <inheritdoc/>
    public override string Description => "Trains a ViT classifier whose class token and registers enter before blocks of your choice.";

    /// <inheritdoc/>
    public override bool SharesWork => true;

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _workers.Aliases.Add("--num_workers");
        _run.AddTo(command);
        command.Add(_workers);
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
            context.Output.Write(TrainingConfigFile.Schema<VitTrainingConfig>());
            return ExitCode.Success;
        }

        var config = TrainingConfigFile.Load<VitTrainingConfig>(_run.ReadFile(arguments), _fields.Read(arguments));
        var sharpness = _sharpness.Read(arguments, config.Sharpness);
        config = config with { SamRho = sharpness?.Radius, SamAdaptive = sharpness is { Adaptive: true } };
        var device = _run.Prepare(arguments);
        using var data = VitDatasets.All.Find(config.Dataset).Open(config, new(Cancellation: context.Cancellation) { Decoding = _run.ReadDecoding(arguments), Progress = context.Progress });
        using var directory = _run.OpenDirectory(arguments, context.Progress);
        var progress = directory.Progress;
        data.Train.Inventory.Tell(progress);
        data.Test.Inventory.Tell(progress);
        using var teacher = config.Teacher is { } path ? Load(path, new() { Device = device }, progress) : null;
        using var model = Begin(config, data.ClassNames.Count, device, progress);
        var hashes = new[] { (Teacher, config.Teacher), (Finetune, config.Finetune) }
            .Where(origin => origin.Item2 is not null).ToDictionary(origin => origin.Item1, origin => ContentHash.OfFile(PlacementCheckpoint.WeightsOf(origin.Item2!)));
        var processes = Processes.Current;
        var best = directory.PathOf($"best_checkpoint_cls_{model.Config.ClassBlock}_reg_{model.Config.RegisterBlock}");
        using var task = new VitTask(model, data, config, teacher, hashes, arguments.GetValue(_workers) ?? 0, progress, processes) { BestFolder = best };
        progress.Message($"{model.Config.ToClip().Vision.LateTokens?.Describe() ?? "class and distillation token from the start"}; {task.TrainedParameters} trained parameters, {task.StepsPerEpoch} steps an epoch.");
        if (config.RepeatedAug && processes.Size == 1)
        {
            progress.Message("Repeated augmentation has no effect in one process: images are shuffled.");
        }

        var metrics = _reportTo.Train(
            context, directory, task, task.Loop, step => new EpochLog(directory.PathOf("log.txt"), step, task.StepsPerEpoch, task.TrainedParameters));
        if (processes.Rank > 0)
        {
            return ExitCode.Success;
        }

        task.Finish();
        model.Save(directory.PathOf("model"));
        directory.Progress.Message($"The best model, by {task.Stopping.Options.Metric}, is that of step {task.Stopping.BestStep}: {best}.");
        directory.WriteResult(Provenance(context, config, task, hashes, data), new
        {
            config, processes = processes.Size, classes = data.ClassNames, metrics, best = new { metric = task.Stopping.Options.Metric, value = task.Stopping.Best, step = task.Stopping.BestStep },
        });
        foreach (var (name, value) in metrics)
        {
            context.Output.WriteLine($"{name}: {TrainingLoop.InWords(value)}");
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
}
