using System.Text.RegularExpressions;
using RegCache.Lab.Data;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Reproduction;

/// <summary>
/// What runs the rows of a published table. Paper files name it ("run"); a new one is a new file and one line in
/// <see cref="All"/>.
/// </summary>
internal abstract partial class TableRunner : IListed
{
    /// <summary>The name of the demo model in place of a published one.</summary>
    public const string DemoModel = "shapes-clip";

    // Enough for the largest calibration of a table, and few enough for a search that takes seconds. The generated classes take
    // turns in a cycle of 48; evenly spaced calibration images of 512 would be of three classes only.
    private const int DemoSearchImages = 520;
    private const int DemoTestImages = 960;

    /// <summary>All of them.</summary>
    public static OpenList<TableRunner> All { get; } = new("table runner", new RegCacheRunner(), new ClassificationRunner(), new MergingRunner(), new RetrievalRunner());

    /// <inheritdoc />
    public abstract string Name { get; }

    /// <inheritdoc />
    public abstract string Help { get; }

    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options => [];

    /// <summary>Arranges rows by the opened model that answers them.</summary>
    /// <param name="table">The table.</param>
    /// <param name="rows">Those of its rows that are to run.</param>
    /// <param name="onDemo">Whether the demo model stands for all models.</param>
    public IReadOnlyList<TableRun> Runs(PublishedTable table, IEnumerable<PublishedRow> rows, bool onDemo) =>
    [
        .. from row in rows
           let model = onDemo ? DemoModel : row.ModelName!
           group row by FolderName([model, .. RunOf(row, onDemo)]) into run
           select new TableRun(table, run.Key, table.Models[run.First().ModelName!], [.. run], onDemo),
    ];

    /// <summary>Whether CLIP models need the names of ImageNet's classes.</summary>
    public virtual bool NeedsClassNames => true;

    /// <summary>The data that a run reads.</summary>
    public abstract IReadOnlyList<DataVariable> Data(TableRun run);

    /// <summary>Where some of it lies.</summary>
    /// <exception cref="UserException">It is missing; the sentence says what goes where.</exception>
    public virtual string Place(TableRun run, DataVariable variable, DataLocations locations) => locations.Require(variable);

    /// <summary>The command that does the same, as far as it does not depend on the place of the model; null where no other does.</summary>
    public abstract string? Command(TableRun run);

    /// <summary>The options of the experiment that a run opens, beside model, data and how it runs.</summary>
    /// <exception cref="UserException">A row names a method or an option that there is not.</exception>
    public virtual ExperimentOptions Configure(TableRun run, ExperimentOptions options, Func<ExperimentOptions, QuantizationBits, ExperimentOptions> execution) => options;

    /// <summary>The numbers that need neither weights nor data.</summary>
    public virtual IEnumerable<MeasuredCell> WithoutWeights(TableRun run) => [];

    /// <summary>Runs the rows, and writes the result of the run to its directory.</summary>
    /// <exception cref="UserException">Something is missing, or does not fit.</exception>
    public abstract TableResult Measure(RunningTable running);

    /// <summary>How the demo model and its pictures are opened.</summary>
    public static ExperimentOptions OnDemo(ExperimentOptions options) =>
        options with { Pretrained = "demo", SearchCount = DemoSearchImages, ValidationCount = DemoTestImages };

    /// <summary>What rows of one model must share to be answered by one run.</summary>
    protected abstract IEnumerable<string> RunOf(PublishedRow row, bool onDemo);

    /// <summary>The options of a row, as a method takes them.</summary>
    /// <exception cref="UserException">The method has no such option, or it does not take the value.</exception>
    protected static MethodValues ValuesOf(PublishedRow row, IListed method) => row.Options.Aggregate(
        MethodValues.None,
        (values, given) => values.With(
            method.Options.FirstOrDefault(option => option.Name == given.Key)
                ?? throw new UserException($"The row '{row.InWords()}' has an option {given.Key}, which {method.Name} does not have; correct the paper file."),
            given.Value));

    private static string FolderName(IEnumerable<string> parts) =>
        string.Join('_', parts.Select(part => NoFileName().Replace(part.ToLowerInvariant(), "-").Trim('-')));

    [GeneratedRegex("[^a-z0-9.]+")]
    private static partial Regex NoFileName();
}

/// <summary>Rows of a table that one opened model answers.</summary>
/// <param name="Table">The table.</param>
/// <param name="Name">The name of its folder.</param>
/// <param name="Model">The model.</param>
/// <param name="Rows">The rows.</param>
/// <param name="OnDemo">Whether the demo model stands for the paper's.</param>
internal sealed record TableRun(PublishedTable Table, string Name, PublishedModel Model, IReadOnlyList<PublishedRow> Rows, bool OnDemo)
{
    /// <summary>Whether the table has such a measure.</summary>
    public bool Asks(string measure) => Table.Measures.ContainsKey(measure);
}

/// <summary>A run that is under way.</summary>
/// <param name="Run">What is run.</param>
/// <param name="Experiment">The opened model with its images.</param>
/// <param name="CommandLine">What was asked for.</param>
/// <param name="MeasuresSpeed">Whether throughput is wanted.</param>
internal sealed record RunningTable(TableRun Run, Experiment Experiment, string CommandLine, bool MeasuresSpeed);

/// <summary>What a run has measured.</summary>
/// <param name="Images">The images, in words.</param>
/// <param name="Cells">The numbers.</param>
internal sealed record TableResult(string Images, IEnumerable<MeasuredCell> Cells)
{
    /// <summary>Numbers of the validation images.</summary>
    public static TableResult OfValidation(Experiment experiment, IEnumerable<MeasuredCell> cells) => new($"{experiment.Validation.Count} images", cells);
}

/// <summary>A measured number of a table.</summary>
/// <param name="Row">Its row.</param>
/// <param name="Measure">Its measure.</param>
/// <param name="Value">The number.</param>
internal sealed record MeasuredCell(PublishedRow Row, string Measure, double Value)
{
    /// <summary>Some numbers of a row.</summary>
    public static IEnumerable<MeasuredCell> Of(PublishedRow row, params (string Measure, double Value)[] values) =>
        values.Where(value => row.Values.ContainsKey(value.Measure)).Select(value => new MeasuredCell(row, value.Measure, value.Value));
}
