using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Vit;
using Spectre.Console;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Trains classifiers over a grid of places where tokens enter, or takes trained ones, and compares what they achieve and cost.</summary>
internal sealed class StudyPlacementCommand : KitCommand
{
    private readonly Argument<string[]> _models = new("MODEL")
    {
        Description = "Trained classifiers to compare, besides those of the grid: folders that `train vit` wrote, or weight files.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string?> _config = new("--config")
    {
        Description = "Train the grid: a configuration of `train vit`, whose places, registers and seed the grid replaces.",
        HelpName = "FILE",
    };

    private readonly Option<string?> _dataPath = new("--data-path", "--data_path") { Description = "Folder of the configuration's data set. [default: the configuration's]", HelpName = "FOLDER" };
    private readonly Option<int[]> _classBlocks = List("--cls-pos", "Blocks before which the class token enters, separated by commas. [default: 0]", "--cls_pos");
    private readonly Option<int[]> _registerBlocks = List("--reg-pos", "Blocks before which the registers enter. [default: 0]", "--reg_pos");
    private readonly Option<int[]> _registers = List("--num-reg", "Numbers of registers; without any, --reg-pos says nothing. [default: 0,4]", "--num_reg");
    private readonly Option<int[]> _seeds = List("--seeds", "Seeds of the trainings. [default: 0]");
    private readonly Option<string?> _data = new("--data", "--dataset")
    {
        Description = $"The labelled set that models are measured on: {ImageSetFormats.AddressHelp}. [default: the test images of --config]",
        HelpName = "SET",
    };

    private readonly Option<int> _norms = OptionOf.Number("--norms", "Images whose patch norms are measured.", 64, 1, 1_000_000);
    private readonly Option<int> _batch = OptionOf.Number("--batch", "Images a batch when models are measured.", 64, 1, 65536);
    private readonly Option<int?> _threads = OptionOf.Threads();
    private readonly Option<string> _runDirectory = new("--run-dir") { Description = "Folder of the trainings and the tables. [default: runs/placement]", HelpName = "FOLDER", DefaultValueFactory = _ => System.IO.Path.Combine("runs", "placement") };
    private readonly Option<ComputeDevice> _device = OptionOf.Device();
    private readonly Option<bool> _force = new("--force") { Description = "Train everything again, whatever the folder holds." };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only tell which models would be trained." };
    private readonly TrainReportOption _reportTo = new();

    /// <inheritdoc/>
    public override string Path => "study placement";

    /// <inheritdoc/>
    public override string Description =>
        "Compares ViT classifiers by where class and register tokens enter: accuracy, multiply-accumulates, images a second, outlier norms. Trains a grid of them.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_models);
        command.AddGroup(OptionGroups.Model, _config, _classBlocks, _registerBlocks, _registers, _seeds);
        command.AddGroup(OptionGroups.Data, _data, _dataPath, _norms);
        command.AddGroup(OptionGroups.Running, _batch, _threads, _device, _runDirectory, _force, _dryRun);
        _reportTo.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var config = ReadConfig(arguments);
        var grid = config is null ? [] : Grid(arguments, config);
        var given = arguments.GetValue(_models) ?? [];
        if (grid.Count + given.Length == 0)
        {
            throw new UserException("There is nothing to compare: name trained models, or give --config FILE to train a grid of them.");
        }

        if (arguments.GetValue(_dryRun))
        {
            grid.ForEach(cell => context.Output.WriteLine($"would train {NameOf(cell)}"));
            return ExitCode.Success;
        }

        torch.set_num_threads(arguments.GetValue(_threads) ?? Environment.ProcessorCount);
        using var data = config is null ? null : VitDatasets.All.Find(config.Dataset).Open(config, new(Cancellation: context.Cancellation) { Progress = context.Progress });
        using var own = arguments.GetValue(_data) is { } address ? ImageSetFormats.Open(address, new(NeedsLabels: true, Cancellation: context.Cancellation)) : null;
        var images = own ?? data?.Test ?? throw new UserException("Models that are not trained here need images to be measured on; give --data SET.");
        var device = arguments.GetValue(_device).Find();
        using var directory = RunDirectory.Open(arguments.GetRequiredValue(_runDirectory), arguments.GetValue(_force), context.Progress);
        List<(string Name, long? Seed, DynamicVit Model)> models = [];
        try
        {
            foreach (var cell in grid)
            {
                models.Add((NameOf(cell), cell.Seed, Trained(context, directory, cell, data!, device)));
            }

            models.AddRange(given.Select(path => (PlacementCheckpoint.NameOf(path), (long?)null, Load(path, device, context.Progress))));
            var sources = new Dictionary<(int, int), ImageSetSource>();
            IImageSource Source(DynamicVit model)
            {
                var transform = EvaluationTransform.Of(model.Config.ImageSize, config?.EvalCropRatio ?? EvaluationTransform.CropRatio);
                return sources.TryGetValue(model.Config.ImageSize, out var known) ? known : sources[model.Config.ImageSize] = new(images, new(transform));
            }

            var rows = PlacementStudy.Measure(
                models, Source, arguments.GetValue(_norms), new("images", arguments.GetValue(_batch)) { Progress = directory.Progress, Cancellation = context.Cancellation });
            var provenance = new Provenance(
                DateTimeOffset.Now,
                context.CommandLine,
                grid.Count > 0 ? grid[0].Seed : 0,
                $"{models.Count} classifiers, {grid.Count} of them trained here",
                given.ToDictionary(PlacementCheckpoint.NameOf, path => ContentHash.OfFile(PlacementCheckpoint.WeightsOf(path))),
                new Dictionary<string, string> { ["images"] = images.ComputeFingerprint() },
                KitVersions.Current)
            {
                Inventory = [images.Inventory],
            };
            directory.WriteResult(provenance, new { config, rows });
            Show(context, directory, rows);
        }
        finally
        {
            models.ForEach(model => model.Model.Dispose());
        }

        return ExitCode.Success;
    }

    private static Option<int[]> List(string name, string help, params string[] aliases) => LateTokenOptions.Aliased(
        new Option<int[]>(name)
        {
            Description = help,
            HelpName = "LIST",
            CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(part => MethodOption.ParseNumber(name, part.Trim(), 0, 1 << 24)).Distinct().ToArray()),
        },
        aliases);

    private static string NameOf(VitTrainingConfig cell) =>
        FormattableString.Invariant($"cls{cell.ClsPos}_reg{cell.RegPos}_n{cell.NumReg}_seed{cell.Seed}");

    private static DynamicVit Load(string path, torch.Device device, IWorkProgress progress)
    {
        var assumptions = new List<string>();
        var model = DynamicVit.Load(path, new() { Device = device, Assumptions = assumptions });
        assumptions.ForEach(assumption => progress.Message($"{path}: {assumption}"));
        return model;
    }

    private VitTrainingConfig? ReadConfig(ParseResult arguments)
    {
        JsonObject given = arguments.GetValue(_dataPath) is { } folder ? new() { ["data_path"] = folder } : [];
        return arguments.GetValue(_config) is { } file ? TrainingConfigFile.Load<VitTrainingConfig>(file, given) : null;
    }

    // Without registers it does not matter where they would enter.
    private List<VitTrainingConfig> Grid(ParseResult arguments, VitTrainingConfig config) =>
    [
        .. (from seed in OptionOf.Given(arguments, _seeds, 0)
            from registers in OptionOf.Given(arguments, _registers, 0, 4)
            from classBlock in OptionOf.Given(arguments, _classBlocks, 0)
            from registerBlock in OptionOf.Given(arguments, _registerBlocks, 0)
            select config with { Seed = seed, NumReg = registers, ClsPos = classBlock, RegPos = registers == 0 ? 0 : registerBlock })
            .DistinctBy(NameOf),
    ];

    // A training that has ended is read from its last checkpoint; one that was killed goes on.
    private DynamicVit Trained(CommandContext context, RunDirectory study, VitTrainingConfig cell, VitData data, torch.Device device)
    {
        study.Progress.Message($"Training {NameOf(cell)}.");
        using var directory = RunDirectory.Open(study.PathOf(NameOf(cell)), study.Force, context.Progress);
        var model = DynamicVit.Create(cell.Architecture(data.ClassNames.Count), cell.Seed, device);
        using var task = new VitTask(model, data, cell, progress: directory.Progress);
        _reportTo.Train(context, directory, task, task.Loop);
        task.Finish();
        model.Save(directory.PathOf("model"));
        return model;
    }

    private static void Show(CommandContext context, RunDirectory directory, IReadOnlyList<PlacementRow> rows)
    {
        const double million = 1e3;
        var table = new Table().AddColumns("cls_pos", "R", "reg_pos", "top-1 %", "range", "loss", "MMACs", "images/s", "speed", "by MACs", "norms", "outliers");
        table.Columns.ToList().ForEach(column => column.RightAligned().NoWrap());
        var places = rows.GroupBy(row => (row.ClassBlock, row.Registers, row.RegisterBlock)).ToList();
        foreach (var place in places)
        {
            string Mean(Func<PlacementRow, double> value, string format) => place.Average(value).ToString(format, CultureInfo.InvariantCulture);
            table.AddRow(
                $"{place.Key.ClassBlock}", $"{place.Key.Registers}", place.Key.Registers == 0 ? "" : $"{place.Key.RegisterBlock}", Mean(row => row.Top1, "0.00"),
                place.Count() == 1 ? "" : FormattableString.Invariant($"{place.Min(row => row.Top1):0.00}..{place.Max(row => row.Top1):0.00}"),
                Mean(row => row.Loss, "0.000"), Mean(row => row.GigaMacs * million, "0.00"), Mean(row => row.ImagesPerSecond, "0"),
                Mean(row => row.SpeedRatio, "0.000"), Mean(row => row.MacsRatio, "0.000"), Mean(row => row.NormRatio, "0.00"), Mean(row => row.Outliers, "0.00"));
        }

        context.Console.Write(table);
        CsvTable.Write(directory.PathOf("placement.csv"), rows);
        var plot = new ParetoPlot();
        IReadOnlyList<ParetoSeries> Series(Func<PlacementRow, double> cost) =>
        [
            .. places.GroupBy(place => place.Key.Registers == 0 ? "no registers" : $"{place.Key.Registers} registers from block {place.Key.RegisterBlock}").Select(series => new ParetoSeries(
                series.Key,
                [.. series.Select(place => new ParetoPoint(place.Average(cost), place.Average(row => row.Top1), $"class token from block {place.Key.ClassBlock}"))])),
        ];
        plot.Add("million MACs an image", Series(row => row.GigaMacs * million));
        plot.Add("images per second", Series(row => row.ImagesPerSecond));
        AtomicFile.WriteText(directory.PathOf("pareto.svg"), plot.ToSvg());
        context.Output.WriteLine(
            $"Means over the seeds of a place; MMACs: million multiply-accumulates an image; speed and by MACs: ratios to {rows[0].Model}; "
            + "norms: largest over median of the last block's patches; outliers: patches above five medians.");
        context.Output.WriteLine($"written: {directory.PathOf("placement.csv")}, {directory.PathOf("pareto.svg")}");
    }
}
