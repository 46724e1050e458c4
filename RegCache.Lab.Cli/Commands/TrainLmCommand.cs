using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Distributed;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Language;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.Language;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Trains a character language model with dynamic token pooling.</summary>
internal sealed class TrainLmCommand : KitCommand
{
    private readonly Option<string?> _config = new("--config") { Description = "YAML file of dynamic-pooling, read as it is; options on the command line win over it.", HelpName = "FILE" };
    private readonly Option<string?> _runDirectory = new("--run-dir") { Description = "Folder of checkpoints, logs and the model. [default: runs/lm-TYPE-seedN]", HelpName = "FOLDER" };
    private readonly Option<bool> _force = new("--force") { Description = "Start over, whatever checkpoints the run directory holds." };
    private readonly Option<int?> _threads = OptionOf.Threads();
    private readonly Option<ComputeDevice> _device = OptionOf.Device();
    private readonly LmFieldOptions _fields = new();
    private readonly TrainReportOption _reportTo = new();

    /// <inheritdoc/>
    public override string Path => "train lm";

    /// <inheritdoc/>
    public override string Description => "Trains a character language model with dynamic token pooling.";

    /// <inheritdoc/>
    public override bool SharesWork => true;

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        foreach (var option in new Option[] { _config, _runDirectory, _force, _threads, _device })
        {
            command.Add(option);
        }

        _fields.AddTo(command);
        _reportTo.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var config = LmConfigFile.Load(arguments.GetValue(_config), _fields.Read(arguments), context.Progress.Message);
        torch.set_num_threads(arguments.GetValue(_threads) ?? Processes.Cores);
        var device = arguments.GetValue(_device).Find();
        var corpus = TextCorpus.Open(config.Data);
        using var directory = RunDirectory.Open(
            arguments.GetValue(_runDirectory) ?? System.IO.Path.Combine("runs", $"lm-{config.BoundariesType}-seed{config.Seed}"),
            arguments.GetValue(_force),
            context.Progress);
        corpus.Inventory.Tell(directory.Progress);
        using var task = new LmTask(config, corpus, Unigram(config, corpus, directory, context.Cancellation), device, directory.Progress, Processes.Current, context.Cancellation);
        directory.Progress.Message(
            $"{task.Model.Config.Parameters} parameters; a chunk of {config.TgtLen} characters takes {Cost(task.Model.Config, config.TgtLen)}.");
        if (config.EvalTotalLen > config.TgtLen)
        {
            directory.Progress.Message(
                $"Evaluations read up to {config.EvalTotalLen} characters at a time, but training {config.TgtLen}: distances beyond were never trained, which costs bits; "
                + $"--eval-total-len {Math.Max(config.EvalTgtLen, config.TgtLen)} avoids that.");
        }

        var metrics = _reportTo.Train(context, directory, task, task.Loop);
        if (!Processes.IsFirst)
        {
            return ExitCode.Success;
        }

        task.Finish();
        var folder = directory.PathOf("model");
        task.Folder.Save(folder);
        directory.WriteResult(
            new(
                DateTimeOffset.Now,
                context.CommandLine,
                config.Seed,
                $"train lm, {config.BoundariesType}, {task.Steps} steps",
                new Dictionary<string, string>(),
                new Dictionary<string, string> { ["data"] = corpus.Fingerprint },
                KitVersions.Current)
            {
                Inventory = [corpus.Inventory],
            },
            new { config, processes = Processes.Current.Size, metrics });
        foreach (var (name, value) in metrics)
        {
            context.Output.WriteLine($"{name}: {value:0.#####}");
        }

        context.Output.WriteLine($"The model is in {folder}.");
        return ExitCode.Success;
    }

    // Rates are those that the type aims at; what text or spikes give is known only after the fact.
    private static string Cost(DynamicPoolingConfig config, int length)
    {
        double? rate = !config.Type.Pools ? 1 : config.Type.IsDrawn ? config.Prior : config.Boundaries == "fixed" ? 1.0 / config.FixedFactor : null;
        return rate is { } known
            ? $"{Billions(known, MacsCounting.Complete):0.00} billion multiply-accumulates ({Billions(known, MacsCounting.Legacy):0.00} without the predictor)"
            : $"as many multiply-accumulates as its boundaries say, {Billions(0.2, MacsCounting.Complete):0.00} billion at one in five";

        double Billions(double share, MacsCounting counting) => PoolingMacs.LanguageModel(config, length, share, counting) / 1e9;
    }

    private static UnigramModel? Unigram(LmTrainingConfig config, TextCorpus corpus, RunDirectory directory, CancellationToken cancellation)
    {
        if (config.BoundariesType != "unigram")
        {
            return null;
        }

        if (config.TokenizerPath is { } path)
        {
            return UnigramModel.Load(path);
        }

        // Kept, so that a training that goes on has the same one.
        var kept = directory.PathOf($"unigram-{config.UnigramSize}-{corpus.Fingerprint[..12]}.json");
        if (Processes.IsFirst && !File.Exists(kept))
        {
            directory.Progress.Message($"A Unigram vocabulary of {config.UnigramSize} pieces is trained on the training text.");
            new UnigramTrainer(config.UnigramSize).Train(corpus.Vocabulary, corpus.Train, cancellation).Save(kept);
        }

        Processes.Current.Barrier();
        return UnigramModel.Load(kept);
    }
}
