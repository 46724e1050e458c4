using System.CommandLine;
using System.Text.Json;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.ShapesClip;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Trains the demo model from nothing and measures it.</summary>
internal sealed class TrainShapesClipCommand : KitCommand
{
    private readonly Option<bool> _quick = new("--quick") { Description = "A short training without registers, one to two minutes, to see that all works." };
    private readonly Option<long> _seed = OptionOf.Number("--seed", "Seed of the weights and of the order of the images.", 0L, 0L, long.MaxValue);
    private readonly Option<int?> _threads = OptionOf.OptionalNumber("--threads", "Threads. [default: all cores]", 1, 4096);
    private readonly Option<string?> _runDirectory = new("--run-dir") { Description = "Folder of checkpoints, logs and the model. [default: runs/shapes-clip-seedN]", HelpName = "FOLDER" };
    private readonly Option<bool> _force = new("--force") { Description = "Start over, whatever checkpoints the run directory holds." };
    private readonly SharpnessOption _sharpness = new();
    private readonly TrainReportOption _reportTo = new();

    /// <inheritdoc/>
    public override string Path => "train shapes-clip";

    /// <inheritdoc/>
    public override string Description => "Trains the demo model on generated images, then measures it with and without RegCache.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        foreach (var option in new Option[] { _quick, _seed, _threads, _runDirectory, _force })
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
        var isQuick = arguments.GetValue(_quick);
        var options = (isQuick ? ShapesClipOptions.Quick : ShapesClipOptions.Full) with
        {
            Seed = arguments.GetValue(_seed),
            Sharpness = _sharpness.Read(arguments, configured: null),
        };
        var name = $"shapes-clip{(isQuick ? "-quick" : "")}-seed{options.Seed}";
        using var directory = RunDirectory.Open(
            arguments.GetValue(_runDirectory) ?? System.IO.Path.Combine("runs", name), arguments.GetValue(_force), context.Progress);
        torch.set_num_threads(arguments.GetValue(_threads) ?? Environment.ProcessorCount);

        using var task = new ShapesClipTask(options)
        {
            PhaseEnded = (phase, model) =>
            {
                if (phase == 0 && options.Phases.Count > 1)
                {
                    ShapesClipModelFolder.Save(model, directory.PathOf("control"));
                }
            },
        };
        var validation = _reportTo.Train(context, directory, task, new() { EvaluateEvery = 100 });
        task.Finish();
        var folder = directory.PathOf("model");
        ShapesClipModelFolder.Save(task.Model, folder);
        var seconds = TrainSeconds(directory.PathOf("log.jsonl"));
        context.Output.WriteLine($"validation top-1 %: {validation["val/top1"]:0.00} after {seconds:0} s; the model is in {folder}");
        if (!isQuick)
        {
            var card = TrainShapesClipCard.Measure(options, directory, seconds, context.Cancellation);
            AtomicFile.WriteText(System.IO.Path.Combine(folder, "model-card.json"), card.ToJson());
            card.Print(context.Console);
        }

        return ExitCode.Success;
    }

    // The log survives interruptions: its lines hold the mean time of the steps since the line before.
    private static double TrainSeconds(string log)
    {
        var (seconds, before) = (0.0, 0L);
        foreach (var line in File.ReadLines(log))
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.TryGetProperty("train/batch_time", out var time))
            {
                var step = json.RootElement.GetProperty("step").GetInt64();
                seconds += time.GetDouble() * (step - before);
                before = step;
            }
        }

        return seconds;
    }
}
