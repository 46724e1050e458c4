using System.Diagnostics;
using CsvHelper;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Composition;

/// <summary>A row of <c>compose.csv</c>: what a model achieves and costs with some systems switched on.</summary>
/// <param name="Step">What this row is about: "plain", "merging", "+ merging", "- merging".</param>
/// <param name="Kind">"plain"; "alone"; "together", with everything that was switched on before; or "without", everything but this.</param>
/// <param name="Systems">All that is on, with a plus between.</param>
/// <param name="Setting">How the system is set that the row is about.</param>
/// <param name="Model">The model that runs.</param>
/// <param name="Top1">Top-1 accuracy, percent.</param>
/// <param name="Gmacs">Billions of multiply-accumulates an image, decisions apart.</param>
/// <param name="MacsRatio">The plain model's relative to this one's: the speed ratio that they predict.</param>
/// <param name="ImagesPerSecond">Measured throughput.</param>
/// <param name="SpeedRatio">Throughput relative to the plain model's, measured in turn.</param>
/// <param name="FinalTokens">Tokens that leave the last block.</param>
/// <param name="Images">Images of the accuracy.</param>
[CsvRecord]
public sealed partial record CompositionRow(
    string Step,
    string Kind,
    string Systems,
    string Setting,
    string Model,
    double Top1,
    double Gmacs,
    double MacsRatio,
    double ImagesPerSecond,
    double SpeedRatio,
    long FinalTokens,
    int Images);

/// <summary>Systems that are on at the same time.</summary>
/// <param name="Kind">One of the constants.</param>
/// <param name="Systems">The systems, in the order in which they were switched on.</param>
/// <param name="About">The system that tables name; null for the plain model.</param>
public sealed record ComposedPlan(string Kind, ValueList<ComposedSystem> Systems, ComposedSystem? About)
{
    /// <summary>The model as trained.</summary>
    public const string Plain = "plain";

    /// <summary>One system.</summary>
    public const string Alone = "alone";

    /// <summary>A system on top of others.</summary>
    public const string Together = "together";

    /// <summary>All systems but one.</summary>
    public const string Without = "without";

    /// <summary>What the plan is about, for tables.</summary>
    public string Step => Kind switch
    {
        Plain => Plain,
        Alone => $"{About}",
        Together => $"+ {About}",
        Without => $"- {About}",
        _ => throw new UnreachableException(),
    };

    /// <summary>
    /// The model as trained; every system alone; one after the other on top of those before; and of three or more all but one, in turn.
    /// What is there twice so is listed once.
    /// </summary>
    /// <param name="systems">The systems, in the order in which they are switched on.</param>
    public static IReadOnlyList<ComposedPlan> Of(IReadOnlyList<ComposedSystem> systems)
    {
        ArgumentNullException.ThrowIfNull(systems);
        return
        [
            new(Plain, [], null),
            .. systems.Select(system => new ComposedPlan(Alone, [system], system)),
            .. systems.Index().Skip(1).Select(one => new ComposedPlan(Together, [.. systems.Take(one.Index + 1)], one.Item)),
            .. systems.Count < 3 ? [] : systems.SkipLast(1).Select(system => new ComposedPlan(Without, [.. systems.Where(other => other != system)], system)),
        ];
    }

    /// <summary>The model that runs, with its plan.</summary>
    public (Experiment Model, EncoderPlan Plan) Build(CompositionSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        var model = Systems.Any(system => system.IsStudent)
            ? settings.Student ?? throw new UserException("Memory cannot be switched on without a student of the model; name one, or leave memory out.")
            : settings.Experiment;
        return (model, Systems.Aggregate(EncoderPlan.Plain(model.Tower.Blocks.Count), (plan, system) => system.Apply(settings, model, plan)));
    }

    /// <inheritdoc />
    public override string ToString() => Systems.Count == 0 ? Plain : string.Join(" + ", Systems);
}

/// <summary>
/// One model with registers, deletion, merging, late tokens, pooling, memory and a quantizer, each switched on alone and on top of the
/// others, and off again: accuracy, multiply-accumulates and images per second (docs/methods/composition.md).
/// </summary>
public static class CompositionStudy
{
    /// <summary>Measures the compositions.</summary>
    /// <param name="settings">The model, and how each system is set.</param>
    /// <param name="compositions">What is measured; ratios are to the first.</param>
    /// <param name="protocol">How throughput is measured.</param>
    /// <param name="evaluate">Accuracy of plans on a model's validation images; null: in one pass that keeps nothing.</param>
    /// <exception cref="UserException">A setting does not fit the model.</exception>
    public static IReadOnlyList<CompositionRow> Measure(
        CompositionSettings settings,
        IReadOnlyList<ComposedPlan> compositions,
        ThroughputOptions protocol,
        Func<Experiment, IReadOnlyList<EncoderPlan>, IReadOnlyList<PlanScore>>? evaluate = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(compositions);
        evaluate ??= static (model, plans) => model.Evaluate(plans);
        var runs = compositions.Select(composition => composition.Build(settings)).ToArray();
        var scores = new PlanScore[runs.Length];
        foreach (var group in runs.Index().GroupBy(run => run.Item.Model))
        {
            var indices = group.Select(run => run.Index).ToArray();
            foreach (var (score, index) in evaluate(group.Key, [.. group.Select(run => run.Item.Plan)]).Zip(indices))
            {
                scores[index] = score;
            }
        }

        var speeds = Throughput.Measure(
            [.. runs.Select(run => (run.Model.Tower, run.Plan))], protocol, settings.Experiment.Progress, settings.Experiment.Cancellation);
        var macs = runs.Select(run => MacsTable.Of(run.Model.Tower, run.Plan)).ToArray();
        return
        [
            .. compositions.Select((composition, index) => new CompositionRow(
                composition.Step,
                composition.Kind,
                composition.ToString(),
                composition.About?.Describe(settings) ?? "",
                runs[index].Model.Name,
                scores[index].Accuracy,
                macs[index].Total / 1e9,
                (double)macs[0].Total / macs[index].Total,
                speeds[index].ImagesPerSecond,
                speeds[index].Ratio,
                macs[index].FinalTokens,
                scores[index].Images)),
        ];
    }

    /// <summary>Accuracy against multiply-accumulates and against images per second: every system alone, and the way on which they add up.</summary>
    /// <param name="rows">The rows; the first is the plain model.</param>
    public static ParetoPlot Plot(IReadOnlyList<CompositionRow> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        var plot = new ParetoPlot();
        plot.Add("GMACs an image", Series(row => row.Gmacs));
        plot.Add("images per second", Series(row => row.ImagesPerSecond));
        return plot;

        ParetoPoint Point(CompositionRow row, Func<CompositionRow, double> cost) => new(cost(row), row.Top1, row.Systems);

        IReadOnlyList<ParetoSeries> Series(Func<CompositionRow, double> cost) =>
        [
            .. rows.Where(row => row.Kind is ComposedPlan.Plain or ComposedPlan.Alone).Select(row => new ParetoSeries(row.Step, [Point(row, cost)])),
            .. rows.Any(row => row.Kind == ComposedPlan.Together)
                ? [new ParetoSeries("together", [Point(rows[0], cost), Point(rows[1], cost), .. rows.Where(row => row.Kind == ComposedPlan.Together).Select(row => Point(row, cost))])]
                : (ParetoSeries[])[],
        ];
    }
}
