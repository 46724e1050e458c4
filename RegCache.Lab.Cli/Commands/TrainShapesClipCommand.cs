using System.CommandLine;
using System.Text.Json;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.ShapesClip;
using Spectre.Console;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Trains the demo model from nothing and measures it.</summary>
internal sealed class TrainShapesClipCommand : KitCommand
{
    private readonly Option<bool> _quick = new("--quick") { Description = "A short training without registers, one to two minutes, to see that all works." };
    private readonly Option<long> _seed = OptionOf.Number("--seed", "Seed of the weights and of the order of the images.", 0L, 0L, long.MaxValue);
    private readonly Option<int?> _threads = OptionOf.Threads();
    private readonly Option<string?> _runDirectory = new("--run-dir") { Description = "Folder of checkpoints, logs and the model. [default: runs/shapes-clip-seedN]", HelpName = "FOLDER" };
    private readonly Option<bool> _force = new("--force") { Description = "Start over, whatever checkpoints the run directory holds." };
    private readonly SharpnessOption _sharpness = new();
    private readonly TrainReportOption _reportTo = new();

    /// <inheritdoc/>
    public override string Path => "train shapes-clip";

    /// <inheritdoc/>
    public override string Description => "Trains the demo model on generated images, then measures it with and without RegCache.";

    /// <inheritdoc/>
    public override bool SharesWork => true;

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
        torch.set_num_threads(arguments.GetValue(_threads) ?? Processes.Cores);

        using var task = new ShapesClipTask(options, Processes.Current)
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

        // The first process has written what all measure together.
        Processes.Current.Barrier();
        var seconds = TrainingTime.Seconds(directory.PathOf("log.jsonl"));
        context.Output.WriteLine($"validation top-1 %: {validation["val/top1"]:0.00} after {seconds:0} s; the model is in {folder}");
        if (!isQuick)
        {
            var card = TrainShapesClipCard.Measure(options, directory, seconds, context.Cancellation);
            AtomicFile.WriteText(System.IO.Path.Combine(folder, "model-card.json"), card.ToJson());
            card.Print(context.Console);
        }

        return ExitCode.Success;
    }
}

/// <summary>The model card of the demo model: how it was made, and every number of its evaluation.</summary>
/// <param name="Learned">What about its register tokens is learned.</param>
/// <param name="Planted">What about them is planted.</param>
/// <param name="Recipe">How it was trained.</param>
/// <param name="TrainSeconds">Wall time of the training steps, without the evaluations.</param>
/// <param name="WeightsSha256">SHA-256 of the weight file.</param>
/// <param name="Versions">Versions of the kit, its libraries and the system.</param>
/// <param name="Registers">Patch norms and outliers on calibration images, by place.</param>
/// <param name="Results">Accuracies on test images, by bit-width.</param>
/// <param name="Control">The same encoder after the first phase, before anything was planted.</param>
internal sealed record TrainShapesClipCard(
    string Learned,
    string Planted,
    ShapesClipOptions Recipe,
    double TrainSeconds,
    string WeightsSha256,
    IReadOnlyDictionary<string, string> Versions,
    IReadOnlyList<TokenNorms> Registers,
    IReadOnlyList<RegCacheSummary> Results,
    IReadOnlyList<RegCacheSummary> Control)
{
    private const int BatchSize = 64;
    private const int SearchImages = 480;
    private const int CalibrationImages = 512;
    private static readonly QuantizationBits[] _bits = [new(8, 8), new(6, 6), new(4, 4)];

    /// <summary>Measures the saved model. Everything is chosen on validation images; the accuracies are of test images.</summary>
    public static TrainShapesClipCard Measure(
        ShapesClipOptions options, RunDirectory directory, double trainSeconds, CancellationToken cancellation)
    {
        var folder = directory.PathOf("model");
        using var clip = LoadedClip.Load(folder);
        var calibration = new ShapesImageSource(ShapesSet.Generate(ShapesSplit.Calibration, CalibrationImages, options.DataSeed, cancellation: cancellation));
        return new(
            "At which seven places of the patch grid registers may sit, whether a patch there is marked as one (the mark neuron's input weights, taught by losses that end before the training does), and that later blocks use registers as attention sinks (a temporary reward asks for a share of 0.3).",
            "That there are at most about seven, the two residual channels that they use, how large they are, and the blocks (2, 3, 4) in which neuron 0 of the MLP takes a hidden value above 1000.",
            options,
            trainSeconds,
            clip.Hash,
            KitVersions.Current,
            TokenNorms.Measure(
                clip.Model.Vision, calibration, calibration.Count, new("norms", BatchSize) { Progress = directory.Progress, Cancellation = cancellation }),
            RunAll("model", options, directory, cancellation),
            RunControl(options, directory, cancellation));
    }

    /// <summary>The card as JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, ReportJson.Options) + "\n";

    /// <summary>Prints the accuracies.</summary>
    public void Print(IAnsiConsole console)
    {
        ResultTables.PrintSummaries(console, "registers", Results);
        ResultTables.PrintSummaries(console, "control without registers", Control);
    }

    private static IReadOnlyList<RegCacheSummary> RunControl(
        ShapesClipOptions options, RunDirectory directory, CancellationToken cancellation) =>
        Directory.Exists(directory.PathOf("control")) ? RunAll("control", options, directory, cancellation) : [];

    private static IReadOnlyList<RegCacheSummary> RunAll(
        string name, ShapesClipOptions options, RunDirectory directory, CancellationToken cancellation) =>
    [
        .. _bits.Select(bits =>
        {
            using var experiment = Experiment.Open(
                new()
                {
                    Model = directory.PathOf(name),
                    Pretrained = name,
                    SearchCount = SearchImages,
                    ShapesSeed = options.DataSeed,
                    BatchSize = BatchSize,
                    OnTensorOperators = true,
                    RunDirectory = directory.PathOf(Path.Combine("regcache", $"{name}-{bits}")),
                    Force = directory.Force,
                },
                directory.Progress,
                cancellation);
            return RegCacheSummary.Of(
                bits, new RegCachePipeline(experiment, new() { Bits = bits, BlockSearch = BlockSearch.TwoStep, Prune = true }).Run());
        }),
    ];
}
