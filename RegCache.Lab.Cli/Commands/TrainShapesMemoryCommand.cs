using System.CommandLine;
using System.Text.Json;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Cli.Commands;

/// <summary>
/// Makes the demo model's student with memory layers: runs the training commands one after the other, as their files in
/// <c>models/configs</c> say, and measures what came out (docs/training.md).
/// </summary>
internal sealed class TrainShapesMemoryCommand : KitCommand
{
    private readonly Option<long> _seed = OptionOf.Number("--seed", "Seed of the memory layers and of the order of the images.", 0L, 0L, long.MaxValue);
    private readonly Option<int?> _threads = OptionOf.Threads();
    private readonly Option<string?> _runDirectory = new("--run-dir") { Description = "Folder of the stages' runs and of the model. [default: runs/shapes-memory-seedN]", HelpName = "FOLDER" };
    private readonly Option<bool> _force = new("--force") { Description = "Start over, whatever checkpoints the run directory holds." };
    private readonly Option<bool> _compare = new("--compare") { Description = "Also train to compare: memory layers by captions without a teacher, and the teacher itself by long captions, without memory." };

    /// <inheritdoc/>
    public override string Path => "train shapes-memory";

    /// <inheritdoc/>
    public override string Description => "Distils and finetunes the demo model's student with memory layers, then measures it.";

    /// <inheritdoc/>
    public override bool SharesWork => true;

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        foreach (var option in new Option[] { _seed, _threads, _runDirectory, _force, _compare })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var seed = arguments.GetValue(_seed);
        using var directory = RunDirectory.Open(
            arguments.GetValue(_runDirectory) ?? System.IO.Path.Combine("runs", $"shapes-memory-seed{seed}"), arguments.GetValue(_force), context.Progress);
        var stages = MemoryStage.All.Where(stage => !stage.IsComparison || arguments.GetValue(_compare)).ToList();
        foreach (var stage in stages)
        {
            directory.Progress.Message(stage.Line(directory, seed));
            Train(stage, context, directory, seed);

            // The first process has written what the next stage begins with.
            Processes.Current.Barrier();
        }

        var folder = directory.PathOf("model");
        using (var trained = LoadedClip.Load(System.IO.Path.Combine(directory.PathOf(MemoryStage.Finetune.Name), "model")))
        {
            ShapesClipModelFolder.Save(trained.Model, folder);
        }

        Processes.Current.Barrier();
        var card = TrainShapesMemoryCard.Measure(seed, stages, directory, context.Cancellation);
        AtomicFile.WriteText(System.IO.Path.Combine(folder, "model-card.json"), card.ToJson());
        card.Print(context.Console);
        context.Output.WriteLine($"the model is in {folder}");
        return ExitCode.Success;
    }

    private void Train(MemoryStage stage, CommandContext context, RunDirectory directory, long seed)
    {
        var arguments = context.Arguments;
        List<string> words = [.. stage.Words(directory, seed)];
        if (arguments.GetValue(_threads) is { } threads)
        {
            words.AddRange(["--threads", $"{threads}"]);
        }

        if (arguments.GetValue(_force))
        {
            words.Add("--force");
        }

        var command = stage.Make();
        var declared = new Command("stage");
        command.Declare(declared);
        command.Run(context with { Arguments = declared.Parse(words), CommandLine = stage.Line(directory, seed), Output = TextWriter.Null });
    }
}

/// <summary>A training of which the student with memory is made, or that it is compared with.</summary>
/// <param name="Name">Its folder in the run directory.</param>
/// <param name="Role">What comes out, for tables.</param>
/// <param name="Config">Its file in <c>models/configs</c>.</param>
/// <param name="Make">The command that runs it.</param>
/// <param name="Trained">The folder of the trained model in that of the stage.</param>
internal sealed record MemoryStage(string Name, string Role, string Config, Func<KitCommand> Make, string Trained = "model")
{
    /// <summary>The memory layers learn from captions, without looking at the teacher's features.</summary>
    public static MemoryStage Contrastive { get; } = new("contrastive", "contrastive", "train-memory-shapes.json", () => new TrainClipCommand());

    /// <summary>The memory layers learn the teacher's features.</summary>
    public static MemoryStage Distill { get; } = new("distill", "distilled", "train-distill-shapes.json", () => new TrainDistillCommand(), "best");

    /// <summary>All of the distilled student learns long captions.</summary>
    public static MemoryStage Finetune { get; } = new("finetune", "finetuned", "train-finetune-shapes.json", () => new TrainFinetuneCommand());

    /// <summary>The teacher itself learns long captions.</summary>
    public static MemoryStage Control { get; } = new("control", "teacher, finetuned", "train-long-shapes.json", () => new TrainClipCommand());

    /// <summary>All of them, in the order in which they run.</summary>
    public static IReadOnlyList<MemoryStage> All { get; } = [Distill, Finetune, Contrastive, Control];

    /// <summary>Whether the stage is there for comparison alone.</summary>
    public bool IsComparison => this == Contrastive || this == Control;

    /// <summary>The stage's file.</summary>
    /// <exception cref="UserException">It is not there.</exception>
    public string ConfigFile => KitFile.Find(System.IO.Path.Combine("models", "configs", Config))
        ?? throw new UserException($"The configuration models/configs/{Config} is not here; work in the kit's own folder, or name it in {KitFile.RootVariable}.");

    /// <summary>The trained model.</summary>
    public string Model(RunDirectory directory) => System.IO.Path.Combine(directory.PathOf(Name), Trained);

    /// <summary>The command's words behind its path.</summary>
    public IEnumerable<string> Words(RunDirectory directory, long seed) =>
    [
        "--config", ConfigFile, "--run-dir", directory.PathOf(Name), "--seed", $"{seed}", .. BatchOfAProcess(),
        .. this == Finetune ? (string[])["--student-model", Distill.Model(directory)] : ["--pretrained", System.IO.Path.GetRelativePath(".", ModelFolder.FindDemo())],
    ];

    // The file says the batch of all processes, for that is the recipe; the command wants that of one.
    private string[] BatchOfAProcess()
    {
        if (Processes.Launched == 1)
        {
            return [];
        }

        using var config = JsonDocument.Parse(File.ReadAllText(ConfigFile));
        var batch = config.RootElement.GetProperty("batch_size").GetInt32();
        return batch % Processes.Launched == 0
            ? ["--batch-size", $"{batch / Processes.Launched}"]
            : throw new UserException(
                $"{Path.GetFileName(ConfigFile)} has batches of {batch} pairs, which {Processes.Launched} processes cannot share evenly; start a number that divides {batch}.");
    }

    /// <summary>The command line.</summary>
    public string Line(RunDirectory directory, long seed) => $"regcache {Make().Path} {string.Join(' ', Words(directory, seed))}";
}
