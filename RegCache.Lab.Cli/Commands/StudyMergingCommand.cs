using System.CommandLine;
using System.Security.Cryptography;
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
        using var subject = StudyMergingSubject.Open(context, _options);
        var run = _options.Run.Read(context.Arguments);
        var plain = EncoderPlan.Plain(subject.Tower.Blocks.Count);
        var settings = _options.Settings(context.Arguments, plain.Blocks.Count, run.Seed);
        var tree = new PlanTree([.. settings.Select(setting => setting.ApplyTo(plain))]);
        if (run.DryRun)
        {
            context.Output.WriteLine(
                $"{settings.Count} plans on {subject.Images.Count} images: {tree.BlockForwards} block forwards an image instead of {tree.BlockForwardsAlone}.");
            return ExitCode.Success;
        }

        var scores = Accuracy(subject, tree, run.Batch, context.Cancellation);
        var protocol = _options.Throughput(context.Arguments);
        var speeds = Throughput.Measure(subject.Tower, tree.Plans, protocol, subject.Directory.Progress, context.Cancellation);
        var rows = Rows(subject, settings, tree.Plans, scores, speeds, protocol, run);
        var published = _options.Published(context.Arguments);
        CsvTable.Write(subject.Directory.PathOf("merging.csv"), rows);
        AtomicFile.WriteText(subject.Directory.PathOf("pareto.svg"), StudyMergingReport.Plot(rows, published).ToSvg());
        StudyMergingReport.WritePictures(subject, settings, _options.Pictures(context.Arguments));
        subject.Directory.WriteResult(Provenance(context, subject, run, settings), rows);
        StudyMergingReport.Print(context.Console, rows, published);
        context.Output.WriteLine($"table, plot and pictures: {subject.Directory.Path}");
        return ExitCode.Success;
    }

    private static IReadOnlyList<PlanScore> Accuracy(StudyMergingSubject subject, PlanTree tree, int batch, CancellationToken cancellation)
    {
        const string stage = "accuracy";
        var stages = subject.Directory.Stages;
        var key = StageKey.Of(new
        {
            subject.Hash,
            Images = subject.Images.Fingerprint,
            Classifier = Convert.ToHexStringLower(SHA256.HashData(subject.Classifier.Weights.cpu().contiguous().bytes)),
            Type = subject.Tower.Placement.ToString(),
            Plans = tree.Plans.Select(plan => plan.ToString()).ToArray(),
            batch,
        });
        if (stages.TryLoad(stage, key, out IReadOnlyList<PlanScore>? known))
        {
            return known;
        }

        var pass = new EvaluationRun(stage, batch)
        {
            Progress = subject.Directory.Progress,
            Checkpoint = stages.Checkpoint<PassState>(stage, key),
            Cancellation = cancellation,
        };
        var scores = PlanEvaluation.Run(subject.Tower, subject.Classifier, subject.Images, tree, pass);
        stages.Save(stage, key, scores);
        return scores;
    }

    private static List<MergingStudyRow> Rows(
        StudyMergingSubject subject,
        IReadOnlyList<MergingSetting> settings,
        IReadOnlyList<EncoderPlan> plans,
        IReadOnlyList<PlanScore> scores,
        IReadOnlyList<ThroughputResult> speeds,
        ThroughputOptions protocol,
        RunSettings run)
    {
        var (tower, classes) = (subject.Tower, subject.Tower.Features);
        var macs = plans.Select(plan => MacsTable.Of(tower.Config, classes, plan)).ToArray();
        return [.. settings.Select((setting, index) => new MergingStudyRow(
            subject.Name,
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
            run.Precision.ToString().ToLowerInvariant(),
            run.Device.ToString().ToLowerInvariant(),
            torch.get_num_threads()))];
    }

    private static Provenance Provenance(
        CommandContext context, StudyMergingSubject subject, RunSettings run, IReadOnlyList<MergingSetting> settings) => new(
        DateTimeOffset.Now,
        context.CommandLine,
        run.Seed,
        string.Join("; ", settings),
        new Dictionary<string, string> { [subject.Name] = subject.Hash },
        new Dictionary<string, string> { ["IMAGENET_VAL"] = subject.Images.Fingerprint },
        KitVersions.Current)
    {
        Architecture = subject.Architecture,
        Assumptions = subject.Assumptions,
    };
}

/// <summary>The options of <see cref="StudyMergingCommand"/>.</summary>
internal sealed class StudyMergingOptions
{
    private static readonly MergingMethod[] _usualMethods = [MergingMethods.ToMe, MergingMethods.Dfe, MergingMethods.Lgtm];

    private static readonly MergeSchedule[] _usualSchedules = [.. new[] { 4, 8, 13, 16 }.Select(MergeSchedule.Constant)];

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
        new[] { RgbValues.All(0.5f), RgbValues.All(0.5f) },
        ("half", [RgbValues.All(0.5f), RgbValues.All(0.5f)]),
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
        Model.AddTo(command);
        Model.AddClassifierTo(command);
        Data.AddTo(command, DataVariable.ImageNetValidation);
        command.Add(_methods);
        command.Add(_schedules);
        _ofMethods.AddTo(command);
        foreach (var option in new Option[] { _unweighted, _throughputBatch, _throughputRuns, _pictures, _published, _pixels, _crop })
        {
            command.Add(option);
        }

        Run.AddTo(command);
    }

    /// <summary>The points of the study: the plain model, then every method at every schedule, from few merged tokens to many.</summary>
    /// <exception cref="UserException">An option belongs to none of the methods, or a schedule lists more blocks than there are.</exception>
    public IReadOnlyList<MergingSetting> Settings(ParseResult arguments, int blocks, long seed)
    {
        var methods = Given(arguments, _methods, _usualMethods).Distinct().ToArray();
        var options = _ofMethods.Read(arguments, methods);
        var schedules = Given(arguments, _schedules, _usualSchedules).Distinct()
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

    // An option of a list that is not given is empty.
    private static T[] Given<T>(ParseResult arguments, Option<T[]> option, T[] usual) =>
        arguments.GetValue(option) is { Length: > 0 } given ? given : usual;
}
