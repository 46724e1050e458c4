using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ranges;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Reproduction;

/// <summary>
/// Rows of RegCache's tables, by the whole pipeline (docs/methods/regcache.md): accuracies of the final evaluation, and how
/// large the entries at the sensitive layer are without and with RegCache.
/// </summary>
internal sealed class RegCacheRunner : TableRunner
{
    private const int NormImages = 1024;

    /// <inheritdoc />
    public override string Name => "regcache";

    /// <inheritdoc />
    public override string Help => "Runs the six stages of RegCache.";

    /// <inheritdoc />
    public override IReadOnlyList<DataVariable> Data(TableRun run) => FamilyOf(run) == NaiveFamily.Entry
        ? [DataVariable.ImageNetValidation, DataVariable.TrainSample]
        : [DataVariable.ImageNetValidation, DataVariable.TrainSample, DataVariable.Calibration];

    /// <inheritdoc />
    public override string Command(TableRun run) => $"pipeline MODEL --baseline {run.Rows[0]["baseline"]} --bits {run.Rows[0]["bits"]}";

    /// <inheritdoc />
    public override ExperimentOptions Configure(
        TableRun run, ExperimentOptions options, Func<ExperimentOptions, QuantizationBits, ExperimentOptions> execution)
    {
        var family = FamilyOf(run);
        return execution(options with { Quantizer = family, QuantizerValues = ValuesOf(run.Rows[0], family) }, BitsOf(run));
    }

    /// <inheritdoc />
    public override TableResult Measure(RunningTable running)
    {
        var (run, experiment) = (running.Run, running.Experiment);
        var options = new RegCacheOptions { Bits = BitsOf(run) };
        // The whole grid takes an hour and more on a published model, and would take minutes on the demo model.
        var pipeline = new RegCachePipeline(
            experiment, run.OnDemo ? options with { BlockSearch = BlockSearch.TwoStep, MaxPrefix = 4 } : options);
        var result = pipeline.Run();
        var scores = result.Scores;
        experiment.TellRemarks();
        experiment.WriteResult(running.CommandLine, $"{experiment.Calibrator(options.Bits)}; {options}", result);
        (string, double)[] values =
        [
            ("float", scores.Float.Accuracy),
            ("quantized", scores.Quantized.Accuracy),
            ("prefix_only", scores.PrefixOnly.Accuracy),
            ("delete_only", scores.DeleteOnly.Accuracy),
            ("both", scores.Both.Accuracy),
            ("gain", scores.Both.Accuracy - scores.Quantized.Accuracy),
            .. run.Asks("l_inf_without") ? Norms(experiment, pipeline, result.Report) : [],
        ];
        return TableResult.OfValidation(experiment, run.Rows.SelectMany(row => MeasuredCell.Of(row, values)));
    }

    /// <inheritdoc />
    protected override IEnumerable<string> RunOf(PublishedRow row, bool onDemo) => [row["baseline"] ?? "", row["bits"] ?? ""];

    private static QuantizerFamily FamilyOf(TableRun run) => QuantizerFamilies.All.Find(run.Rows[0]["baseline"] ?? "");

    private static QuantizationBits BitsOf(TableRun run) => QuantizationBits.Parse(run.Rows[0]["bits"] ?? "");

    // The entries are those of the float encoder: quantizing its inputs would hide how large they want to be.
    private static (string, double)[] Norms(Experiment experiment, RegCachePipeline pipeline, RegCacheReport report)
    {
        var (plain, selected) = (EncoderPlan.Plain(experiment.Tower.Blocks.Count), report.Selected);
        using var cache = PrefixCache.Load(Path.Combine(pipeline.PrefixFolder, $"block{selected.ExtractionBlock:00}.safetensors"));
        var prefix = cache.ToPrefix(experiment.Tower.Placement.Device);
        RangeCase[] cases =
        [
            new(RangeCase.Float, null, false, null, plain),
            new(RangeCase.Float, null, true, null, selected.ApplyTo(plain, prefix)),
        ];
        var key = StageKey.Of(new { experiment.ModelKey, experiment.Validation.Fingerprint, NormImages, Prefix = prefix.Id, selected, report.SensitiveLayer });
        var norms = experiment.Stage("norms", key, "largest entries", pass =>
            RangeStudy.Run(experiment.Tower, experiment.Validation, NormImages, cases, pass)
                .Where(row => row.Block == report.SensitiveBlock && report.SensitiveLayer.EndsWith($".{row.Layer}", StringComparison.Ordinal))
                .ToDictionary(row => row.Registers ? "l_inf_with" : "l_inf_without", row => row.LInf));
        return [.. norms.Select(pair => (pair.Key, pair.Value))];
    }
}
