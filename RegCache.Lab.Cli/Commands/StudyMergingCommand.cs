using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Reports;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Accuracy, multiply-accumulates and images per second of merging methods over r.</summary>
internal sealed class StudyMergingCommand : KitCommand
{
    private readonly StudyMergingOptions _options = new();

    /// <inheritdoc/>
    public override string Path => "study merging";

    /// <inheritdoc/>
    public override string Description => "Compares ways to merge tokens: accuracy, multiply-accumulates, images per second, pictures.";

    /// <inheritdoc/>
    public override void Declare(Command command) => _options.AddTo(command);

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        using var experiment = _options.Open(context);
        var plain = EncoderPlan.Plain(experiment.Tower.Blocks.Count);
        var settings = _options.Settings(context.Arguments, plain.Blocks.Count, experiment.Options.Seed);
        var tree = new PlanTree([.. settings.Select(setting => setting.ApplyTo(plain))]);
        if (_options.Run.IsDryRun(context.Arguments))
        {
            context.Output.WriteLine(
                $"{settings.Count} plans on {experiment.Validation.Count} images: {tree.BlockForwards} block forwards an image instead of {tree.BlockForwardsAlone}.");
            return ExitCode.Success;
        }

        var scores = Accuracy(experiment, tree);
        var protocol = _options.Throughput(context.Arguments);
        var speeds = Throughput.Measure(experiment.Tower, tree.Plans, protocol, experiment.Progress, context.Cancellation);
        var rows = Rows(experiment, settings, tree.Plans, scores, speeds, protocol);
        var published = _options.Published(context.Arguments);
        CsvTable.Write(experiment.Directory.PathOf("merging.csv"), rows);
        AtomicFile.WriteText(experiment.Directory.PathOf("pareto.svg"), StudyMergingReport.Plot(rows, published).ToSvg());
        experiment.TellRemarks();
        StudyMergingReport.WritePictures(experiment, settings, _options.Pictures(context.Arguments));
        experiment.WriteResult(context.CommandLine, string.Join("; ", settings), rows);
        StudyMergingReport.Print(context.Console, rows, published);
        context.Output.WriteLine($"table, plot and pictures: {experiment.Directory.Path}");
        return ExitCode.Success;
    }

    private static IReadOnlyList<PlanScore> Accuracy(Experiment experiment, PlanTree tree)
    {
        const string stage = "accuracy";
        var key = StageKey.Of(new
        {
            experiment.ModelKey,
            Images = experiment.Validation.Fingerprint,
            Classifier = experiment.Classifier.Hash,
            Plans = tree.Plans.Select(plan => plan.ToString()).ToArray(),
            experiment.Options.BatchSize,
        });
        return experiment.Stage(
            stage, key, stage, pass => PlanEvaluation.Run(experiment.Tower, experiment.Classifier, experiment.Validation, tree, pass));
    }

    private static List<MergingStudyRow> Rows(
        Experiment experiment,
        IReadOnlyList<MergingSetting> settings,
        IReadOnlyList<EncoderPlan> plans,
        IReadOnlyList<PlanScore> scores,
        IReadOnlyList<ThroughputResult> speeds,
        ThroughputOptions protocol)
    {
        var tower = experiment.Tower;
        var macs = plans.Select(plan => MacsTable.Of(tower, plan)).ToArray();
        return [.. settings.Select((setting, index) => new MergingStudyRow(
            experiment.Name,
            setting.Method.Name,
            setting.Schedule.ToString(),
            scores[index].Accuracy,
            scores[index].AccuracyTop5,
            macs[index].Total / 1e9,
            (double)macs[0].Total / macs[index].Total,
            macs[index].Matching / 1e9,
            speeds[index].ImagesPerSecond,
            speeds[index].Ratio,
            macs[index].FinalTokens,
            scores[index].Images,
            protocol.Batch,
            experiment.Options.Precision.ToString().ToLowerInvariant(),
            experiment.Options.Device.ToString().ToLowerInvariant(),
            torch.get_num_threads()))];
    }
}

/// <summary>The options of <see cref="StudyMergingCommand"/>.</summary>
internal sealed class StudyMergingOptions
{
    private static readonly MergingMethod[] _usualMethods = [MergingMethods.ToMe, MergingMethods.Dfe, MergingMethods.Lgtm];

    private static readonly MergeSchedule[] _usualSchedules = [.. new[] { 4, 8, 13, 16 }.Select(MergeSchedule.Constant)];

    private static readonly RgbValues[] _half = [RgbValues.All(0.5f), RgbValues.All(0.5f)];

    private readonly Option<MergingMethod[]> _methods = new("--methods")
    {
        Description = string.Join('\n', [
            $"Methods, separated by commas: [default: {string.Join<MergingMethod>(',', _usualMethods)}]",
            .. MergingMethods.All.Select(method => $"{method.Name}: {method.Help}"),
        ]),
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(name => MergingMethods.All.Find(name.Trim())).ToArray()),
    };

    private readonly Option<MergeSchedule[]> _schedules = new("--r")
    {
        Description = "Tokens to merge, separated by commas: r in every block (8), r with an inflection from -1, falling, to 1, rising "
            + $"(8:-1 falls from 16 to 0), or one number a block (0/3/0/6). [default: {string.Join<MergeSchedule>(',', _usualSchedules)}]",
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(part => MergeSchedule.Parse(part.Trim())).ToArray()),
    };

    private readonly MethodOptions _ofMethods = new("--methods", MergingMethods.All);

    private readonly Option<bool> _unweighted = new("--no-proportional-attention")
    {
        Description = "Attention does not count a token by its size: for off-the-shelf MAE models.",
    };

    private readonly Option<int> _throughputBatch = OptionOf.Number("--throughput-batch", "Images a batch of the throughput measurement.", 64, 1, 65536);

    private readonly Option<int> _throughputRuns = OptionOf.Number("--throughput-runs", "Passes of a measurement; the first quarter warms up.", 40, 4, 100_000);

    private readonly Option<int> _pictures = OptionOf.Number("--pictures", "Images to show with their merged tokens.", 6, 0, 1000);

    private readonly Option<string?> _published = new("--published")
    {
        Description = $"Show the published numbers of a model beside the measured ones: {string.Join(", ", PublishedMerging.Models)}.",
        HelpName = "MODEL",
        CustomParser = result => OptionOf.Parse(result, text => PublishedMerging.Of(text)[0].Model),
    };

    private readonly Option<RgbValues[]> _pixels = OptionOf.Choice(
        "--pixels",
        "Mean and deviation of a plain ViT classifier's input: half (AugReg, SAM), imagenet (DeiT, MAE, SWAG).",
        _half,
        ("half", _half),
        ("imagenet", [PreprocessOptions.ImageNetMean, PreprocessOptions.ImageNetStandardDeviation]));

    private readonly Option<double> _crop = new("--crop")
    {
        Description = "Part of the resized image that a plain ViT classifier sees.",
        HelpName = "RATIO",
        DefaultValueFactory = _ => 0.9,
    };

    public ModelOptions Model { get; } = new();

    public DataOptions Data { get; } = new();

    public RunOptions Run { get; } = new();

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        Data.AddTo(command, DataVariable.ImageNetValidation);
        Model.AddTo(command);
        command.Add(_methods);
        command.Add(_schedules);
        _ofMethods.AddTo(command);
        foreach (var option in new Option[] { _unweighted, _throughputBatch, _throughputRuns, _pictures, _published, _pixels, _crop })
        {
            command.Add(option);
        }

        Run.AddTo(command);
    }

    /// <summary>Opens what they name.</summary>
    public Experiment Open(CommandContext context)
    {
        var arguments = context.Arguments;
        var options = Model.Read(arguments, new()
        {
            ValidationImages = Data.Read(arguments).Require(DataVariable.ImageNetValidation),
            VitPreprocess = size => Preprocess(arguments, size),
            DefaultRunDirectory = model => Path.Combine("runs", $"merging_{model}".ToLowerInvariant()),
        });
        return Experiment.Open(Run.Read(arguments, options), context.Progress, context.Cancellation);
    }

    /// <summary>The points of the study: the plain model, then every method at every schedule, from few merged tokens to many.</summary>
    /// <exception cref="UserException">An option belongs to none of the methods, or a schedule lists more blocks than there are.</exception>
    public IReadOnlyList<MergingSetting> Settings(ParseResult arguments, int blocks, long seed)
    {
        var methods = OptionOf.Given(arguments, _methods, _usualMethods).Distinct().ToArray();
        var options = _ofMethods.Read(arguments, methods);
        var schedules = OptionOf.Given(arguments, _schedules, _usualSchedules).Distinct()
            .Where(schedule => schedule.Total(blocks) > 0)
            .OrderBy(schedule => schedule.Total(blocks));
        return
        [
            MergingSetting.Plain,
            .. from method in methods
               from schedule in schedules
               select new MergingSetting(method, schedule)
               {
                   Options = options.Of(method),
                   ProportionalAttention = !arguments.GetValue(_unweighted),
                   Seed = seed,
               },
        ];
    }

    public ThroughputOptions Throughput(ParseResult arguments) =>
        new() { Batch = arguments.GetValue(_throughputBatch), Runs = arguments.GetValue(_throughputRuns) };

    public int Pictures(ParseResult arguments) => arguments.GetValue(_pictures);

    public IReadOnlyList<PublishedResult> Published(ParseResult arguments) =>
        arguments.GetValue(_published) is { } model ? PublishedMerging.Of(model) : [];

    /// <summary>How images become the input of a plain ViT classifier.</summary>
    public PreprocessOptions Preprocess(ParseResult arguments, (int Height, int Width) size)
    {
        var pixels = arguments.GetRequiredValue(_pixels);
        return new(size.Height, size.Width)
        {
            Mean = pixels[0],
            StandardDeviation = pixels[1],
            CropRatio = arguments.GetValue(_crop),
        };
    }
}
