using System.CommandLine;
using System.Globalization;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Composition;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Merging;
using RegCache.Lab.Pooling;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>One model and everything that the kit can do to its token stream: each system alone, and one on top of the other.</summary>
internal sealed class StudyComposeCommand : KitCommand
{
    private readonly PipelineOptions _options = new();
    private readonly ComposeOptions _compose = new();

    /// <inheritdoc/>
    public override string Path => "study compose";

    /// <inheritdoc/>
    public override string Description =>
        "Switches registers, deletion, merging, late tokens, pooling, memory and a quantizer on, alone and together: "
        + "accuracy, multiply-accumulates, images per second.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _compose.AddTo(command);
        _options.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        using var experiment = _options.Open(context, "compose_", static options => options);
        var systems = _compose.ReadSystems(arguments, experiment.Progress, experiment.Options.Model);
        using var student = systems.Any(system => system.IsStudent) ? _compose.OpenStudent(arguments, experiment) : null;
        var compositions = ComposedPlan.Of(systems);
        if (_options.IsDryRun(arguments))
        {
            context.Output.WriteLine($"{compositions.Count} plans on {experiment.Validation.Count} images: {string.Join("; ", compositions)}");
            return ExitCode.Success;
        }

        var search = _options.ReadSearch(arguments);
        var settings = _compose.Read(arguments, experiment, search, student);
        var rows = CompositionStudy.Measure(settings, compositions, _compose.ReadProtocol(arguments), (model, plans) => Accuracy(experiment, model, plans));
        CsvTable.Write(experiment.Directory.PathOf("compose.csv"), rows);
        AtomicFile.WriteText(experiment.Directory.PathOf("pareto.svg"), CompositionStudy.Plot(rows).ToSvg());
        experiment.TellRemarks();
        var set = string.Join("; ", systems.Select(system => $"{system}: {system.Describe(settings)}"));
        experiment.WriteResult(context.CommandLine, set, rows);
        Print(context.Console, rows);
        context.Output.WriteLine("Ratios are to the plain model: of speed as measured, and as multiply-accumulates predict it.");
        context.Output.WriteLine($"table and plot: {experiment.Directory.Path}");
        return ExitCode.Success;
    }

    private static IReadOnlyList<PlanScore> Accuracy(Experiment experiment, Experiment model, IReadOnlyList<EncoderPlan> plans)
    {
        var stage = ReferenceEquals(model, experiment) ? "accuracy" : "accuracy-student";
        var key = StageKey.Of(new
        {
            model.ModelKey,
            Images = model.Validation.Fingerprint,
            Classifier = model.Classifier.Hash,
            Execution = $"{model.Backend?.Mode}",
            Plans = plans.Select(plan => plan.ToString()).ToArray(),
            model.Options.BatchSize,
        });
        return experiment.Stage(stage, key, stage, pass => PlanEvaluation.Run(model.Tower, model.Classifier, model.Validation, new(plans), pass));
    }

    private static void Print(IAnsiConsole console, IReadOnlyList<CompositionRow> rows)
    {
        var table = new Table().AddColumns("step", "setting", "top-1 %", "GMACs", "images/s", "speed ratio", "by MACs", "tokens at the end");
        table.Columns.Skip(2).ToList().ForEach(column => column.RightAligned());
        foreach (var (index, row) in rows.Index())
        {
            if (index > 0 && row.Kind != rows[index - 1].Kind)
            {
                table.AddEmptyRow();
            }

            string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
            table.AddRow(
                row.Step.EscapeMarkup(), row.Setting.EscapeMarkup(), Number(row.Top1, "0.00"), Number(row.Gmacs, "0.0000"), Number(row.ImagesPerSecond, "0.0"),
                Number(row.SpeedRatio, "0.000"), Number(row.MacsRatio, "0.000"), $"{row.FinalTokens}");
        }

        console.Write(table);
    }
}

/// <summary>Which systems <see cref="StudyComposeCommand"/> switches on, and how each is set.</summary>
internal sealed class ComposeOptions
{
    private readonly Option<ComposedSystem[]> _systems = new("--systems")
    {
        Description = string.Join('\n', [
            "What is switched on, in this order, separated by commas: [default: all; memory where there is a student]",
            .. ComposedSystems.All.Select(system => $"{system.Name}: {system.Help}"),
        ]),
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(name => ComposedSystems.All.Find(name.Trim())).Distinct().ToArray()),
    };

    private readonly PrefixSettingOptions _setting = new();

    private readonly PlanPoolingOptions _pooling = new();

    private readonly MergingOptions _merging = new();

    private readonly Option<int?> _classBlock = OptionOf.OptionalNumber(
        "--class-entry", "The class token enters before this block. [default: after a sixth of the blocks]", 1, 4096);

    private readonly Option<string?> _student = new("--memory-model")
    {
        Description = "A student of the model with memory layers: what `train distill` or `train finetune` wrote. "
            + "[default: the folder beside the model's with -memory at its end, if there is one]",
        HelpName = "PATH",
    };

    private readonly Option<int> _throughputBatch = OptionOf.Number("--throughput-batch", "Images a batch of the throughput measurement.", 64, 1, 65536);

    private readonly Option<int> _throughputRuns = OptionOf.Number("--throughput-runs", "Passes of a measurement; the first quarter warms up.", 12, 4, 100_000);

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(_systems);
        _setting.AddTo(command);
        _pooling.AddTo(command);
        _merging.AddTo(command);
        command.AddGroup("Late tokens", _classBlock);
        command.AddGroup(OptionGroups.Model, _student);
        command.Add(_throughputBatch);
        command.Add(_throughputRuns);
    }

    /// <summary>The systems, in order.</summary>
    /// <exception cref="UserException">The quantizer is not the last.</exception>
    public IReadOnlyList<ComposedSystem> ReadSystems(ParseResult arguments, IWorkProgress progress, string? model)
    {
        var systems = OptionOf.Given(arguments, _systems);
        if (systems.Length == 0)
        {
            var hasStudent = StudentPath(arguments, model) is not null;
            if (!hasStudent)
            {
                progress.Message("Memory is left out, for no student of the model is named (--memory-model).");
            }

            return [.. ComposedSystems.All.Where(system => hasStudent || !system.IsStudent)];
        }

        return Array.IndexOf(systems, ComposedSystems.Quantizer) is var place && (place < 0 || place == systems.Length - 1)
            ? systems
            : throw new UserException("--systems: the quantizer comes last, for it is calibrated on the stream that the others leave.");
    }

    /// <summary>Opens the student beside its teacher.</summary>
    /// <exception cref="UserException">There is none, or it has no memory layers.</exception>
    public Experiment OpenStudent(ParseResult arguments, Experiment teacher)
    {
        var path = StudentPath(arguments, teacher.Options.Model)
            ?? throw new UserException("Memory needs a student of the model; name it with --memory-model PATH, or leave memory out of --systems.");
        var options = MemoryStudy.StudentOptions(path, teacher.Options) with { RunDirectory = null, DefaultRunDirectory = null };
        var student = Experiment.Open(options, teacher.Progress, teacher.Cancellation);
        if (student.Model.Config.Vision.Memory is not null)
        {
            return student;
        }

        student.Dispose();
        throw new UserException($"--memory-model {path}: the model has no memory layers; give what `train distill` wrote.");
    }

    /// <summary>How each system is set; RegCache's setting is searched where no prefix or deletion is given.</summary>
    public CompositionSettings Read(ParseResult arguments, Experiment experiment, RegCacheOptions search, Experiment? student)
    {
        var blocks = experiment.Tower.Blocks.Count;
        using var cache = _setting.LoadPrefix(arguments);
        var given = _setting.IsGiven(arguments) ? _setting.Read(arguments, cache, experiment.Tower) : null;
        var merging = _merging.Read(arguments, experiment.Options.Seed)
            ?? MergingSetting.ToMe(Math.Max(1, experiment.Tower.Config.Patches / (4 * blocks)));
        return new(experiment)
        {
            Registers = given ?? new RegCachePipeline(experiment, search).Select(),
            RegisterOptions = search,
            Merging = merging,
            ClassBlock = arguments.GetValue(_classBlock) ?? Math.Max(1, blocks / 6),
            Pooling = _pooling.Read(arguments, blocks) ?? new("cosine", 0.75, blocks / 2),
            Student = student,
            Bits = search.Bits,
        };
    }

    /// <summary>How throughput is measured.</summary>
    public ThroughputOptions ReadProtocol(ParseResult arguments) =>
        new() { Batch = arguments.GetValue(_throughputBatch), Runs = arguments.GetValue(_throughputRuns), Repeats = 5 };

    private string? StudentPath(ParseResult arguments, string? model)
    {
        var beside = Path.TrimEndingDirectorySeparator(model ?? ModelFolder.FindDemo()) + "-memory";
        return arguments.GetValue(_student) ?? (Directory.Exists(beside) ? beside : null);
    }
}
