using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Registers x merging x bits: what merging does to outlier tokens, and they to the accuracy.</summary>
internal sealed class StudyMergingOutliersCommand : KitCommand
{
    private const int FateImages = 64;
    private const int UsualOutliers = 3;

    private readonly PipelineOptions _options = new(searches: false);

    private readonly PrefixSettingOptions _setting = new();

    private readonly Option<QuantizationBits[]> _allBits = new("--all-bits")
    {
        Description = "Bit-widths to compare with float, separated by commas. [default: those of --bits]",
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(QuantizationBits.Parse).ToArray()),
    };

    private readonly Option<int> _count = OptionOf.Number("--r", "Tokens to merge a block.", 8, 1, 65536);

    private readonly Option<int> _first = OptionOf.Number("--merge-from", "First block that merges.", 0, 0, 4096);

    private readonly Option<int?> _outliers = OptionOf.OptionalNumber(
        "--outliers", $"Tokens of an image that count as outliers. [default: --delete-count, else {UsualOutliers}]", 1, 65536);

    /// <inheritdoc/>
    public override string Path => "study merging-outliers";

    /// <inheritdoc/>
    public override string Description => "Compares merging, protecting, postponing and deleting outlier tokens, with and without registers, over bit-widths.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _options.AddTo(command);
        _setting.AddTo(command);
        foreach (var option in new Option[] { _allBits, _count, _first, _outliers })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        using var experiment = _options.Open(context);
        using var cache = _setting.LoadPrefix(context.Arguments);
        var (tower, directory, isDryRun) = (experiment.Tower, experiment.Directory, _options.IsDryRun(context.Arguments));
        var setting = _setting.Read(context.Arguments, cache, tower);
        var prefix = cache?.ToPrefix(tower.Placement.Device);
        var outliers = context.Arguments.GetValue(_outliers) ?? (setting.DeleteCount > 0 ? setting.DeleteCount : UsualOutliers);
        if (outliers >= tower.Config.Patches)
        {
            throw new UserException($"--outliers {outliers}: an image has {tower.Config.Patches} patch tokens; choose fewer.");
        }

        // What a run costs does not depend on the ranges, so nothing is calibrated to tell it.
        var cells = Cells(
            context.Arguments, experiment, setting, prefix, outliers,
            (bits, plan) => isDryRun ? new NaiveQuantizer(bits) : experiment.Calibrator(bits).Calibrate(plan));
        var tree = new PlanTree([.. cells.Select(cell => cell.Plan)]);
        if (isDryRun)
        {
            context.Output.WriteLine(
                $"{cells.Count} plans on {experiment.Validation.Count} images: {tree.BlockForwards} block forwards an image instead of {tree.BlockForwardsAlone}.");
            return ExitCode.Success;
        }

        var scores = PlanEvaluation.Run(
            tower, experiment.Classifier, experiment.Validation, tree, experiment.Pass("registers x merging x bits"));
        experiment.TellRemarks();
        var rows = Rows(experiment, cells, scores, setting.DeleteBlock, outliers);
        CsvTable.Write(directory.PathOf("outliers.csv"), rows);
        AtomicFile.WriteText(directory.PathOf("outliers.svg"), Plot(rows).ToSvg());
        var quantizers = cells.Select(cell => cell.Bits).OfType<QuantizationBits>().Distinct().Select(bits => $"{experiment.Calibrator(bits)}");
        var merging = Merging(context.Arguments);
        experiment.WriteResult(context.CommandLine, $"{string.Join("; ", quantizers)}; {setting}; {merging}; {outliers} outliers an image", rows);
        Print(context.Console, rows);
        context.Output.WriteLine($"table and plot: {directory.Path}");
        return ExitCode.Success;
    }

    private MergingSetting Merging(ParseResult arguments) => MergingSetting.Dfe(arguments.GetValue(_count), arguments.GetValue(_first));

    private List<Cell> Cells(
        ParseResult arguments,
        Experiment experiment,
        RegCacheSetting setting,
        RegisterPrefix? prefix,
        int outliers,
        Func<QuantizationBits, EncoderPlan, IQuantizer> quantizer)
    {
        var layers = experiment.Tower.Blocks.Count;
        var merging = Merging(arguments);
        var deletion = setting with { PrefixCount = 0, DeleteCount = setting.DeleteCount > 0 ? setting.DeleteCount : outliers };
        (string Name, Func<EncoderPlan, EncoderPlan> Apply)[] policies =
        [
            ("none", plan => plan),
            ("merge", merging.ApplyTo),
            ("protect", (merging with { Outliers = new(OutlierHandling.Protect, outliers) }).ApplyTo),
            ("last", (merging with { Outliers = new(OutlierHandling.Last, outliers) }).ApplyTo),
            ("delete", plan => merging.ApplyTo(deletion.ApplyTo(plan, null))),
        ];
        QuantizationBits?[] bits = [null, .. OptionOf.Given(arguments, _allBits, _options.ReadBits(arguments))];
        bool[] registers = setting.PrefixCount > 0 ? [false, true] : [false];
        var withPrefix = setting with { DeleteCount = 0 };
        EncoderPlan Float(bool hasPrefix) => hasPrefix ? withPrefix.ApplyTo(EncoderPlan.Plain(layers), prefix) : EncoderPlan.Plain(layers);
        return
        [
            .. from width in bits
               from hasPrefix in registers
               from policy in policies
               let unquantized = policy.Apply(Float(hasPrefix))
               // Ranges are those of the stream that merging and RegCache leave.
               let plan = width is null ? unquantized : quantizer(width, unquantized).ApplyTo(unquantized)
               select new Cell(width, hasPrefix, policy.Name, plan, Float(hasPrefix), unquantized),
        ];
    }

    // What becomes of outliers is followed in float: quantization does not decide it.
    private static List<OutlierStudyRow> Rows(
        Experiment experiment, List<Cell> cells, IReadOnlyList<PlanScore> scores, int block, int outliers)
    {
        using var runner = new PlanRunner(experiment.Tower);
        var (device, type) = experiment.Tower.Placement;
        var (count, all) = (Math.Min(FateImages, experiment.Validation.Count), experiment.Validation.Count);
        using var images = experiment.Validation.Read([.. Enumerable.Range(0, count).Select(index => index * all / count)]).to(type, device);
        var fates = cells.Select(cell => (cell.Registers, cell.Policy)).Distinct().ToDictionary(
            key => key,
            key =>
            {
                var cell = cells.First(cell => (cell.Registers, cell.Policy) == key);
                return OutlierFate.Of(runner, images, cell.FloatWithoutMerging, cell.Float, block, outliers);
            });
        return [.. cells.Zip(scores, (cell, score) =>
        {
            var fate = fates[(cell.Registers, cell.Policy)];
            return new OutlierStudyRow(
                cell.Bits?.ToString() ?? "float",
                cell.Registers,
                cell.Policy,
                score.Accuracy,
                score.AccuracyTop5,
                MacsTable.Of(experiment.Tower, cell.Plan).Total / 1e9,
                fate.Deleted,
                fate.Merged,
                fate.Companions,
                fate.LargestEntry);
        })];
    }

    private static ParetoPlot Plot(List<OutlierStudyRow> rows)
    {
        var plot = new ParetoPlot();
        foreach (var panel in rows.GroupBy(row => row.Bits))
        {
            plot.Add($"{panel.Key}: GMACs an image", [.. panel.GroupBy(row => (row.Outliers, row.Registers)).Select(group => new ParetoSeries(
                group.Key.Outliers + (group.Key.Registers ? ", registers" : ""), [.. group.Select(row => new ParetoPoint(row.Gmacs, row.Top1))]))]);
        }

        return plot;
    }

    private static void Print(IAnsiConsole console, List<OutlierStudyRow> rows)
    {
        var table = new Table().AddColumns(
            "bits", "registers", "merging", "top-1 %", "GMACs", "deleted %", "merged %", "with others", "largest");
        foreach (var row in rows)
        {
            table.AddRow(
                row.Bits, row.Registers ? "yes" : "", row.Outliers, $"{row.Top1:0.00}", $"{row.Gmacs:0.000}",
                $"{100 * row.DeletedShare:0}", $"{100 * row.MergedShare:0}", $"{row.Companions:0.0}", $"{row.LargestEntry:0.0}");
        }

        foreach (var column in table.Columns.Skip(3))
        {
            column.RightAligned();
        }

        console.Write(table);
    }

    private sealed record Cell(
        QuantizationBits? Bits, bool Registers, string Policy, EncoderPlan Plan, EncoderPlan FloatWithoutMerging, EncoderPlan Float);
}
