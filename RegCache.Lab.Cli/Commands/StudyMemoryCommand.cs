using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Commands;

/// <summary>A teacher and its students with memory: retrieval on several sets in both directions, what they cost, and which queries change.</summary>
internal sealed class StudyMemoryCommand : KitCommand
{
    private const int LeastThroughputRuns = 4;

    private readonly MemoryStudyOptions _options = new();

    private readonly RunOptions _run = new();

    private readonly CheckpointOption _checkpoint = new();

    private readonly Option<int> _errors = OptionOf.Number(
        "--errors", "Queries to show, a student and direction, that the teacher fails and the student answers; 0: no analysis of errors.", 10, 0, 1000);

    private readonly Option<int> _depth = OptionOf.Number("--top-k", "A query fails whose right answer is not among this many best ones.", 5, 1, 1000);

    private readonly Option<int> _shown = OptionOf.Number("--top-n", "Answers to keep of a query in the files of errors.", 10, 1, 1000);

    private readonly Option<(long Least, long Most)> _window = new("--teacher-ranks")
    {
        Description = "Of the queries that a student answers, only those whose right answer has such a rank by the teacher: 6-100. [default: all]",
        HelpName = "FROM-TO",
        DefaultValueFactory = _ => (1, long.MaxValue),
        CustomParser = result => OptionOf.Parse(result, text =>
            text.Split('-') is [var from, var to] && long.TryParse(from, out var least) && long.TryParse(to, out var most) && least >= 1 && most >= least
                ? (least, most)
                : throw new UserException($"--teacher-ranks must be two ranks such as 6-100, not '{text}'")),
    };

    private readonly Option<int> _throughput = OptionOf.Number(
        "--throughput-runs", "Passes of a measurement of images per second; the first quarter warms up. 0: none is made.", 0, 0, 100_000);

    private readonly Option<int> _throughputBatch = OptionOf.Number("--throughput-batch", "Images a batch of that measurement.", 16, 1, 65536);

    /// <inheritdoc/>
    public override string Path => "study memory";

    /// <inheritdoc/>
    public override string Description =>
        "Compares a teacher with its distilled and finetuned students: retrieval on several sets, parameters, and which queries they answer.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _options.AddTo(command);
        foreach (var option in new Option[] { _errors, _depth, _shown, _window, _throughput, _throughputBatch })
        {
            command.Add(option);
        }

        _run.AddTo(command);
        _checkpoint.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        if (arguments.GetValue(_throughput) is > 0 and < LeastThroughputRuns and var few)
        {
            throw new UserException($"--throughput-runs must be 0 or at least {LeastThroughputRuns}, not {few}.");
        }

        var teacher = _options.ReadTeacher(arguments, new() { WithoutImages = true });
        teacher = _run.Read(arguments, _checkpoint.Read(arguments, teacher));
        var named = _options.ReadStudents(arguments);
        (string Role, ExperimentOptions Options)[] opened =
            [(MemoryStudy.Teacher, teacher), .. named.Select(student => (student.Role, MemoryStudy.StudentOptions(student.Path, teacher)))];
        var sets = new List<(RetrievalAddress Address, RetrievalSet Set)>();
        var models = new List<StudiedModel>();
        try
        {
            // Sets are listed before models are loaded, for that takes longer.
            foreach (var address in _options.ReadSets(arguments))
            {
                sets.Add((address, address.Open(teacher.SkipBadImages, teacher.Decoding, context.Cancellation)));
            }

            if (_run.IsDryRun(arguments))
            {
                context.Output.WriteLine(
                    $"{opened.Length} models ({string.Join(", ", opened.Select(one => one.Role))}) on {string.Join("; ", sets.Select(set => $"{set.Address}: {set.Set.Inventory.Found}"))}");
                return ExitCode.Success;
            }

            using var directory = OpenDirectory(teacher, context.Progress);
            foreach (var (role, options) in opened)
            {
                models.Add(Open(role, options with { RunDirectory = null }, directory.Progress, context.Cancellation));
            }

            Study(context, directory, sets, models);
            return ExitCode.Success;
        }
        finally
        {
            models.ForEach(model => model.Experiment.Dispose());
            sets.ForEach(set => set.Set.Dispose());
        }
    }

    private static RunDirectory OpenDirectory(ExperimentOptions teacher, IWorkProgress progress)
    {
        var folder = ModelFolder.Open(teacher.Model ?? ModelFolder.FindDemo());
        var path = teacher.RunDirectory
            ?? RunDirectory.Claim(System.IO.Path.Combine("runs", $"memory_{folder.Name}".ToLowerInvariant()), System.IO.Path.GetFullPath(folder.Weights), progress);
        return RunDirectory.Open(path, teacher.Force, progress);
    }

    private static StudiedModel Open(string role, ExperimentOptions options, IWorkProgress progress, CancellationToken cancellation)
    {
        var experiment = Experiment.Open(options, progress, cancellation);
        if (experiment.Clip.Differences is { Length: > 0 } differences)
        {
            progress.Message($"{role}, {experiment.Clip.Location}: {differences}.");
        }

        if (experiment.Model.Config.Vision.Memory is null && role != MemoryStudy.Teacher)
        {
            progress.Message($"{role}, {experiment.Clip.Location}: the model has no memory layers.");
        }

        return new(role, experiment);
    }

    private void Study(
        CommandContext context, RunDirectory directory, List<(RetrievalAddress Address, RetrievalSet Set)> sets, List<StudiedModel> models)
    {
        var arguments = context.Arguments;
        var options = models[0].Experiment.Options;
        var store = new FeatureStore(directory, options.CheckpointInterval);
        var (rows, pages) = (new List<MemoryStudyRow>(), new List<string>());
        var (captions, fingerprints) = (new Dictionary<string, string>(), new Dictionary<string, string>());
        var metrics = models.ToDictionary(model => model.Role, _ => new OrderedDictionary<string, double>());
        foreach (var (address, set) in sets)
        {
            using var measured = MemoryStudy.Measure(models, $"{address}", address.Part, set, store);
            rows.AddRange(measured.Rows);
            captions[$"{address}"] = set.CaptionHash();
            fingerprints[$"{address}"] = measured.Models[0].Features.Source!.Fingerprint;
            foreach (var model in measured.Models)
            {
                foreach (var (name, value) in new RetrievalResult(model.Model.Role, model.Ranks).Fields(address.Format.MetricName))
                {
                    metrics[model.Model.Role][name] = value;
                }
            }

            if (arguments.GetValue(_errors) is > 0 and var shown)
            {
                pages.Add(StudyMemoryErrors.Write(
                    directory, measured, new(arguments.GetValue(_depth), arguments.GetValue(_shown), shown, arguments.GetValue(_window)), context.Cancellation));
            }
        }

        var runs = arguments.GetValue(_throughput);
        var speeds = runs == 0 ? null : Throughput.Measure(
            [.. models.Select(model => (model.Experiment.Tower, EncoderPlan.Plain(model.Experiment.Tower.Blocks.Count)))],
            new() { Batch = arguments.GetValue(_throughputBatch), Runs = runs },
            directory.Progress,
            context.Cancellation);
        models.ForEach(model => model.Experiment.TellRemarks());
        var costs = MemoryStudy.Costs(models, speeds);
        CsvTable.Write(directory.PathOf("memory.csv"), rows);
        CsvTable.Write(directory.PathOf("models.csv"), costs);
        StudyMemoryReport.Write(directory.PathOf("memory.html"), rows, costs);
        directory.WriteResult(
            new Provenance(
                DateTimeOffset.Now,
                context.CommandLine,
                options.Seed,
                $"float; batch {options.BatchSize}",
                models.ToDictionary(model => $"{model.Role} {model.Experiment.Name}", model => model.Experiment.Hash),
                fingerprints,
                KitVersions.Current)
            {
                Architecture = string.Join("; ", models.Select(model => $"{model.Role}: {model.Experiment.Model.Config.Describe()}")),
                Assumptions = [.. models.SelectMany(model => model.Experiment.Assumptions)],
                Inventory = [.. sets.Select(set => set.Set.Inventory)],
            },
            new { rows, Models = costs, CaptionsSha256 = captions, metrics });
        StudyMemoryReport.Print(context.Console, rows, costs);
        context.Output.WriteLine($"tables and plots: {string.Join(", ", new[] { "memory.csv", "models.csv", "memory.html" }.Concat(pages).Select(directory.PathOf))}");
    }
}
