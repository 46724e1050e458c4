using System.CommandLine;
using F23.StringSimilarity;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Reproduction;

/// <summary>Published tables beside the kit's own numbers.</summary>
internal sealed class ReproduceCommand : KitCommand
{
    private const int NearestNames = 3;

    private readonly ReproduceOptions _options = new();

    /// <inheritdoc/>
    public override string Path => "reproduce";

    /// <inheritdoc/>
    public override string Description => "Lists the published tables that the kit knows, or runs one and prints published and measured numbers side by side.";

    /// <inheritdoc/>
    public override void Declare(Command command) => _options.AddTo(command);

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var tables = _options.Tables(arguments);
        if (_options.TableName(arguments) is not { } name)
        {
            ReproductionReport.List(context, [.. tables.Select(table => (table, StateOf(arguments, table)))]);
            return ExitCode.Success;
        }

        var table = tables.FirstOrDefault(table => table.Id == name) ?? throw Unknown(name, tables);
        if (!table.Rows.Any(row => _options.Wants(arguments, row)))
        {
            throw new UserException($"No row of {table.Id} contains what --only asks for; its first row is '{table.Rows[0].InWords()}'.");
        }

        var onDemo = _options.OnDemo(arguments);
        ReproductionReport.Head(context, table, onDemo);
        var plan = table.Run is null ? [] : Plan(arguments, table, onDemo);
        if (_options.IsDryRun(arguments))
        {
            ReproductionReport.DryRun(context, table, plan);
            return ExitCode.Success;
        }

        var reproduction = RunAll(context, table, plan);
        if (reproduction.Measured.Count > 0)
        {
            Keep(context, reproduction, onDemo);
        }

        ReproductionReport.Print(context, reproduction, onDemo);
        return reproduction.Measured.Count > 0 ? ExitCode.Success : ExitCode.UserError;
    }

    private static UserException Unknown(string name, OpenList<PublishedTable> tables)
    {
        var similarity = new JaroWinkler();
        var nearest = tables.Names.OrderByDescending(known => similarity.Similarity(name, known)).Take(NearestNames);
        return new($"There is no table '{name}'; the nearest names are {string.Join(", ", nearest)}, and `regcache reproduce` lists all {tables.Count}.");
    }

    private List<PlannedRun> Plan(ParseResult arguments, PublishedTable table, bool onDemo)
    {
        var runner = TableRunner.All.Find(table.Run!);
        var rows = table.Rows.Where(row => table.CannotRun(row) is null && _options.Wants(arguments, row));
        return [.. runner.Runs(table, rows, onDemo).Select(run => new PlannedRun(runner, run, _options.Find(arguments, runner, run)))];
    }

    // What the kit can run of a table, and what of that could start now.
    private TableState StateOf(ParseResult arguments, PublishedTable table)
    {
        if (table.Run is null)
        {
            return new(0, 0, false);
        }

        var plan = Plan(arguments, table, onDemo: false);
        int Rows(Func<PlannedRun, bool> which) => plan.Where(which).Sum(run => run.Run.Rows.Count);
        return new(
            Rows(run => run.Run.Model.Cannot is null),
            Rows(run => run.Inputs.Options is not null),
            plan.Any(run => run.Run.Asks("gmacs") && run.Run.Model.Vision is not null));
    }

    private Reproduction RunAll(CommandContext context, PublishedTable table, List<PlannedRun> plan)
    {
        var measured = new Dictionary<(PublishedRow Row, string Measure), MeasuredNumber>();
        var problems = new List<(PlannedRun Run, string Failure)>();
        var (models, data) = (new Dictionary<string, string>(), new Dictionary<string, string>());
        foreach (var planned in plan)
        {
            foreach (var cell in planned.Run.OnDemo ? [] : planned.Runner.WithoutWeights(planned.Run))
            {
                measured[(cell.Row, cell.Measure)] = new(cell.Value, "the shape of the model");
            }

            if (planned.Inputs.Options is not { } options)
            {
                problems.Add((planned, ""));
                continue;
            }

            try
            {
                context.Progress.Message($"{planned.Run.Name}: {planned.Run.Rows.Count} of the table's {table.Rows.Count} rows.");
                using var experiment = Experiment.Open(options, context.Progress, context.Cancellation);
                var running = new RunningTable(planned.Run, experiment, context.CommandLine, _options.MeasuresSpeed(context.Arguments));
                var result = planned.Runner.Measure(running);
                var on = $"{experiment.Name}, {(planned.Run.OnDemo ? "generated pictures" : result.Images)}";
                foreach (var cell in result.Cells)
                {
                    measured[(cell.Row, cell.Measure)] = new(cell.Value, on);
                }

                models[experiment.Name] = experiment.Hash;
                foreach (var (name, fingerprint) in experiment.Data)
                {
                    data[$"{planned.Run.Name}, {name}"] = fingerprint;
                }
            }
            catch (UserException exception) when (plan.Count > 1 && !exception.ConcernsAllInput)
            {
                problems.Add((planned, exception.Message.TrimEnd('.')));
            }
        }

        return new(table, measured, problems, models, data, row => NotRun(table, row, problems, plan));
    }

    private static string? NotRun(
        PublishedTable table, (PublishedRow Row, string Measure) cell, List<(PlannedRun Run, string Failure)> problems, List<PlannedRun> plan) =>
        table.CannotRun(cell.Row) is { } reason ? reason
        : problems.FirstOrDefault(problem => problem.Run.Run.Rows.Contains(cell.Row)) is { Run: { } run } found
            ? found.Failure.Length > 0 ? found.Failure : string.Join("; ", run.Inputs.Missing)
        : !plan.Any(run => run.Run.Rows.Contains(cell.Row)) ? "--only leaves it out"
        : cell.Measure == "images_per_second" ? "--speed measures it"
        : "the kit does not measure it";

    private void Keep(CommandContext context, Reproduction reproduction, bool onDemo)
    {
        var (arguments, table) = (context.Arguments, reproduction.Table);
        var running = _options.Running(arguments);
        var folder = System.IO.Path.Combine(_options.Folder(arguments), onDemo ? $"{table.Id}_shapes" : table.Id);
        using var directory = RunDirectory.Open(folder, running.Force, context.Progress);
        CsvTable.Write(directory.PathOf("table.csv"), reproduction.Rows);
        ReproductionReport.WritePage(directory.PathOf("table.html"), reproduction, onDemo);
        directory.WriteResult(
            new Provenance(
                DateTimeOffset.Now,
                context.CommandLine,
                running.Seed,
                $"{table.Id} of {table.Paper.Name}, by {table.Run}; batch {running.BatchSize}",
                reproduction.Models,
                reproduction.Data,
                KitVersions.Current),
            new
            {
                Table = table.Id,
                Shapes = onDemo,
                Measured = ByRow(reproduction.Rows, row => row.Measured),
                Published = ByRow(reproduction.Rows, row => row.Published),
            });
        context.Progress.Message($"The table is kept in {directory.Path}: table.csv, table.html, result.json.");
    }

    private static Dictionary<string, Dictionary<string, double>> ByRow(IEnumerable<PaperComparison> rows, Func<PaperComparison, double?> value) =>
        rows.Where(row => value(row) is not null).GroupBy(row => row.Row)
            .ToDictionary(group => group.Key, group => group.ToDictionary(row => row.Measure, row => value(row)!.Value));
}

/// <summary>A run of a table with what it opens.</summary>
/// <param name="Runner">What runs it.</param>
/// <param name="Run">The run.</param>
/// <param name="Inputs">What it opens, or misses.</param>
internal sealed record PlannedRun(TableRunner Runner, TableRun Run, FoundInputs Inputs);

/// <summary>How many rows of a table the kit can run.</summary>
/// <param name="Rows">With the right weights and data.</param>
/// <param name="Now">With the weights and data that are here.</param>
/// <param name="CountsCosts">Whether multiply-accumulates are known without either.</param>
internal sealed record TableState(int Rows, int Now, bool CountsCosts);

/// <summary>A table that was run.</summary>
/// <param name="Table">The table.</param>
/// <param name="Measured">What was measured.</param>
/// <param name="Problems">What was not run, with the failure; empty where files are missing.</param>
/// <param name="Models">Hashes of the models.</param>
/// <param name="Data">Fingerprints of the data.</param>
/// <param name="NotRun">Why a number was not measured.</param>
internal sealed record Reproduction(
    PublishedTable Table,
    IReadOnlyDictionary<(PublishedRow Row, string Measure), MeasuredNumber> Measured,
    IReadOnlyList<(PlannedRun Run, string Failure)> Problems,
    IReadOnlyDictionary<string, string> Models,
    IReadOnlyDictionary<string, string> Data,
    Func<(PublishedRow Row, string Measure), string?> NotRun)
{
    /// <summary>Published and measured numbers, in the table's order.</summary>
    public IReadOnlyList<PaperComparison> Rows { get; } = PaperComparison.Of(Table, Measured, (row, measure) => NotRun((row, measure)));
}
