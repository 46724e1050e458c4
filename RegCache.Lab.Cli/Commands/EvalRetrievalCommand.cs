using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Retrieval of images and captions by one plan, in float and step by step: quantized, with a RegCache setting, with merging.</summary>
internal sealed class EvalRetrievalCommand : KitCommand
{
    private readonly RetrievalSetOptions _set = new();
    private readonly DataOptions _data = new();
    private readonly ModelOptions _model = new("the demo model, for --dataset shapes alone");
    private readonly QuantizerOptions _quantizer = new(NoQuantizer.Allowed);
    private readonly PlanOptions _plan = new();
    private readonly ExecutionOption _execution = new();
    private readonly RunOptions _run = new();
    private readonly CheckpointOption _checkpoint = new();
    private readonly ClipBenchmarkOptions _benchmark = new();

    /// <inheritdoc/>
    public override string Path => "eval retrieval";

    /// <inheritdoc/>
    public override string Description =>
        "Finds captions by images and images by captions: in float, and with what is asked for: a quantizer, a RegCache setting, merging.";

    /// <inheritdoc/>
    public override bool SharesWork => true;

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _set.AddTo(command);
        _data.AddTo(command, DataVariable.Calibration);
        _model.AddTo(command);
        _quantizer.AddTo(command);
        _plan.AddTo(command);
        _execution.AddTo(command);
        _run.AddTo(command);
        _checkpoint.AddTo(command);
        _benchmark.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var options = ReadOptions(arguments);
        // The set is listed before the model is loaded, for that takes longer.
        using var set = _set.Open(arguments, options, context.Cancellation);
        using var experiment = Experiment.Open(options, context.Progress, context.Cancellation);
        var quantizer = ReadQuantizer(arguments);
        var request = _plan.Read(arguments, experiment.ImageTower, quantizer, experiment.Options.Seed);
        if (_run.IsDryRun(arguments))
        {
            DryRun.Print(context, request, _quantizer.ReadBits(arguments), set.Inventory.Found);
            return ExitCode.Success;
        }

        var calibrator = quantizer is var (_, bits) ? experiment.Calibrator(bits) : null;
        var steps = request.Steps(plan => calibrator!.Calibrate(plan));
        var results = RetrievalEvaluation.Run(
            experiment,
            set,
            [.. steps.Select(step => new RetrievalPlan(step.Name, KeyOf(step, request, calibrator, experiment.Options.Seed), step.Plan))],
            new FeatureStore(experiment.Directory, experiment.Options.CheckpointInterval));
        experiment.TellRemarks();
        var files = Write(context, experiment, set, request, calibrator, steps, results);
        Print(context.Console, steps, results);
        context.Output.WriteLine($"tables: {string.Join(", ", files)}");
        var last = results[^1];
        foreach (var score in last.Scores)
        {
            context.Output.WriteLine($"{score.Direction}: R@1 {score.RecallAt1:0.00} %, R@5 {score.RecallAt5:0.00} %, R@10 {score.RecallAt10:0.00} % of {score.Queries} queries ({last.Plan})");
        }

        return ExitCode.Success;
    }

    // Equal texts mean equal features.
    private static string KeyOf(NamedPlan step, PlanRequest request, ICalibrator? calibrator, long seed) => string.Join("; ", new[]
    {
        step.Quantizer == PlanOptions.Float ? PlanOptions.Float : $"{calibrator}",
        $"{step.Setting}",
        step.Setting.PrefixCount > 0 ? $"prefix {request.Prefix}" : null,
        step.Pooling?.ToString(),
        step.Merging is { } merging ? $"{merging}, seed {seed}" : null,
    }.OfType<string>());

    private static void Print(IAnsiConsole console, IReadOnlyList<NamedPlan> steps, IReadOnlyList<RetrievalResult> results)
    {
        foreach (var (title, scoreOf) in new (string, Func<RetrievalResult, RetrievalScore>)[]
        {
            ("image to text", result => result.ImageToText),
            ("text to image", result => result.TextToImage),
        })
        {
            var table = ResultTables.OfSteps(
                steps,
                ["R@1 %", "R@5 %", "R@10 %", "mean rank", "median rank"],
                step =>
                {
                    var score = scoreOf(results[step]);
                    return [$"{score.RecallAt1:0.00}", $"{score.RecallAt5:0.00}", $"{score.RecallAt10:0.00}", $"{score.MeanRank:0.00}", $"{score.MedianRank:0}"];
                });
            console.Write(table.Title($"{title}, {scoreOf(results[0]).Queries} queries"));
        }
    }

    private static RetrievalRow Row(string dataset, string split, string model, NamedPlan step, RetrievalResult result)
    {
        var (setting, i2t, t2i) = (step.Setting, result.ImageToText, result.TextToImage);
        var quantizer = step.Quantizer.Split('-');
        return new(
            dataset,
            split,
            model,
            step.Name,
            quantizer[0],
            quantizer.Length > 1 ? quantizer[1].ToUpperInvariant() : "",
            setting.PrefixCount > 0 ? setting.ExtractionBlock : null,
            setting.PrefixCount,
            setting.DeleteCount > 0 ? setting.DeleteBlock : null,
            setting.DeleteCount,
            $"{step.Merging}",
            i2t.RecallAt1,
            i2t.RecallAt5,
            i2t.RecallAt10,
            i2t.MeanRank,
            i2t.MedianRank,
            t2i.RecallAt1,
            t2i.RecallAt5,
            t2i.RecallAt10,
            t2i.MeanRank,
            t2i.MedianRank,
            i2t.Queries,
            t2i.Queries);
    }

    private IReadOnlyList<string> Write(
        CommandContext context,
        Experiment experiment,
        RetrievalSet set,
        PlanRequest request,
        ICalibrator? calibrator,
        IReadOnlyList<NamedPlan> steps,
        IReadOnlyList<RetrievalResult> results)
    {
        var (format, split) = (_set.Read(context.Arguments), _set.ReadSplit(context.Arguments));
        var table = experiment.Directory.PathOf("retrieval.csv");
        CsvTable.Write(table, steps.Zip(results, (step, result) => Row(format.Name, split, experiment.Name, step, result)));
        experiment.WriteResult(
            context.CommandLine,
            calibrator is null ? $"{request}" : $"{calibrator}; {request}",
            new
            {
                Dataset = format.Name,
                split,
                CaptionsSha256 = set.CaptionHash(),
                request.Setting,
                Pooling = request.Pooling?.ToString(),
                Merging = request.Merging?.ToString(),
                Metrics = results.ToDictionary(result => result.Plan, result => result.Fields(format.MetricName)),
            });
        return
        [
            table,
            .. _benchmark.Write(
                context.Arguments,
                experiment.Directory,
                format.BenchmarkName(split),
                ClipBenchmarkResult.Retrieval,
                experiment.Name,
                experiment.Options.Pretrained,
                [.. results.Select(result => (result.Plan, result.BenchmarkFields()))]),
        ];
    }

    private (QuantizerFamily Family, QuantizationBits Bits)? ReadQuantizer(ParseResult arguments) =>
        _quantizer.ReadFamily(arguments) is { } family ? (family, _quantizer.ReadBits(arguments)) : null;

    private ExperimentOptions ReadOptions(ParseResult arguments)
    {
        var (format, quantizer, locations) = (_set.Read(arguments), ReadQuantizer(arguments), _data.Read(arguments));
        _set.ReadSplit(arguments);
        var options = _run.Read(arguments, _model.Read(arguments, new()
        {
            WithoutImages = true,
            CalibrationImages = () => format.IsGenerated && locations.Calibration is null ? "shapes@calibration:" : locations.Require(DataVariable.Calibration),
        }));
        options = _execution.Read(arguments, _quantizer.Read(arguments, _checkpoint.Read(arguments, options)), quantizer?.Bits);
        if (options.Model is null)
        {
            options = format.IsGenerated
                ? options with { Prompts = options.Prompts ?? (options.Classifier is null ? System.IO.Path.Combine(ModelFolder.FindDemo(), "prompts.json") : null) }
                : throw new UserException($"Say which model to measure on {format.Name} (--model PATH): the demo model knows generated pictures alone (--dataset shapes).");
        }

        var ran = quantizer is var (family, bits) ? $"{family}_{bits}" : PlanOptions.Float;
        return options with
        {
            DefaultRunDirectory = model => System.IO.Path.Combine("runs", $"retrieval_{format.Name}_{model}_{ran}".ToLowerInvariant()),
        };
    }
}
