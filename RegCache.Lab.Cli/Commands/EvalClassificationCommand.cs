using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Zero-shot classification of one plan, in float and step by step: quantized, with a RegCache setting, with merging.</summary>
internal sealed class EvalClassificationCommand : KitCommand
{
    private readonly PipelineOptions _options = new(searches: false, NoQuantizer.Allowed);
    private readonly PlanOptions _plan = new();
    private readonly CheckpointOption _checkpoint = new();
    private readonly ClipBenchmarkOptions _benchmark = new();

    private readonly Option<bool> _perClass = new("--per-class") { Description = "Print the recall of every class, too; classes.csv has it in any case." };

    /// <inheritdoc/>
    public override string Path => "eval classification";

    /// <inheritdoc/>
    public override string Description =>
        "Zero-shot classification of IMAGENET_VAL: in float, and with what is asked for: a quantizer, a RegCache setting, merging.";

    /// <inheritdoc/>
    public override bool SharesWork => true;

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _options.AddTo(command);
        _plan.AddTo(command);
        _checkpoint.AddTo(command);
        command.AddGroup(OptionGroups.Results, _perClass);
        _benchmark.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        using var experiment = _options.Open(context, "classification_", options => _checkpoint.Read(arguments, options));
        var quantizer = _options.ReadQuantizer(arguments);
        var request = _plan.Read(arguments, experiment.ImageTower, quantizer, experiment.Options.Seed);
        if (_options.IsDryRun(arguments))
        {
            DryRun.Print(context, request, _options.ReadBits(arguments), $"{experiment.Validation.Count} images");
            return ExitCode.Success;
        }

        var calibrator = quantizer is var (_, bits) ? experiment.Calibrator(bits) : null;
        var steps = request.Steps(plan => calibrator!.Calibrate(plan));
        var scores = Scores(experiment, request, calibrator, steps);
        experiment.TellRemarks();
        var rows = steps.Zip(scores, (step, score) => ClassificationRow.Of(experiment.Name, step.Name, score)).ToList();
        WriteResults(context, experiment, request, calibrator, steps, scores, rows);
        var files = _benchmark.Write(
            arguments,
            experiment.Directory,
            experiment.Options.ValidationImages!,
            ClipBenchmarkResult.Classification,
            experiment.Name,
            experiment.Options.Pretrained,
            [.. rows.Select(row => (row.Plan, (IReadOnlyDictionary<string, double?>)Metrics(row)))]);

        Print(context.Console, steps, rows);
        if (arguments.GetValue(_perClass))
        {
            PrintClasses(context.Console, experiment.ClassNames, steps, scores);
        }

        context.Output.WriteLine($"Calibration error: expected, {ConfidenceBin.Count} bins; confidence: {experiment.Confidence.InWords}.");
        context.Output.WriteLine($"tables: {string.Join(", ", [experiment.Directory.PathOf("classification.csv"), experiment.Directory.PathOf("classes.csv"), .. files])}");
        var last = rows[^1];
        context.Output.WriteLine($"top-1 {last.Top1:0.00} %{(last.Top5 is { } top5 ? $", top-5 {top5:0.00} %" : "")} of {last.Images} images ({last.Plan})");
        return ExitCode.Success;
    }

    private static IReadOnlyList<PlanScore> Scores(
        Experiment experiment, PlanRequest request, ICalibrator? calibrator, IReadOnlyList<NamedPlan> steps)
    {
        var confidence = experiment.Confidence;
        var key = StageKey.Of(new
        {
            experiment.ModelKey,
            Classifier = experiment.Classifier.Hash,
            Execution = $"{experiment.Backend?.Mode}",
            Images = experiment.Validation.Fingerprint,
            experiment.Options.BatchSize,
            Quantizer = $"{calibrator}",
            Plan = $"{request}",
            experiment.Options.Seed,
            confidence.LogitScale,
        });
        return experiment.Stage("classification", key, "classification", pass => PlanEvaluation.Run(
            experiment.ImageTower,
            experiment.Classifier,
            experiment.Validation,
            new([.. steps.Select(step => step.Plan)]),
            pass,
            reference: 0,
            confidence: confidence));
    }

    private static void WriteResults(
        CommandContext context,
        Experiment experiment,
        PlanRequest request,
        ICalibrator? calibrator,
        IReadOnlyList<NamedPlan> steps,
        IReadOnlyList<PlanScore> scores,
        IReadOnlyList<ClassificationRow> rows)
    {
        var directory = experiment.Directory;
        CsvTable.Write(directory.PathOf("classification.csv"), rows);
        CsvTable.Write(
            directory.PathOf("classes.csv"), steps.Zip(scores).SelectMany(pair => pair.Second.Counts!.Rows(pair.First.Name, experiment.ClassNames)));
        experiment.WriteResult(
            context.CommandLine,
            calibrator is null ? $"{request}" : $"{calibrator}; {request}",
            new
            {
                Confidence = experiment.Confidence.InWords,
                request.Setting,
                Pooling = request.Pooling?.ToString(),
                Merging = request.Merging?.ToString(),
                Rows = rows,
                Bins = steps.Zip(scores).ToDictionary(pair => pair.First.Name, pair => pair.Second.Counts!.Bins),
            });
    }

    private static Dictionary<string, double?> Metrics(ClassificationRow row) => new()
    {
        ["acc1"] = row.Top1 / 100,
        ["acc5"] = row.Top5 / 100,
        ["mean_per_class_recall"] = row.MeanPerClassRecall / 100,
    };

    private static void Print(IAnsiConsole console, IReadOnlyList<NamedPlan> steps, List<ClassificationRow> rows) => console.Write(ResultTables.OfSteps(
        steps,
        ["top-1 %", "top-5 %", "mean recall %", "calibration error %"],
        step => [$"{rows[step].Top1:0.00}", $"{rows[step].Top5:0.00}", $"{rows[step].MeanPerClassRecall:0.00}", $"{rows[step].CalibrationError:0.00}"]));

    private static void PrintClasses(
        IAnsiConsole console, IReadOnlyList<string> names, IReadOnlyList<NamedPlan> steps, IReadOnlyList<PlanScore> scores)
    {
        var table = new Table().Title("recall %").AddColumns("class", "images");
        foreach (var step in steps)
        {
            table.AddColumn(new TableColumn(Markup.Escape(step.Name)).RightAligned());
        }

        table.Columns[1].RightAligned();
        var columns = steps.Zip(scores, (step, score) => score.Counts!.Rows(step.Name, names).ToList()).ToList();
        foreach (var (index, name) in names.Index())
        {
            table.AddRow([Markup.Escape(name), $"{columns[0][index].Images}", .. columns.Select(column => $"{column[index].Recall:0.00}")]);
        }

        console.Write(table);
    }
}
