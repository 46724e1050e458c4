using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Reproduction;

/// <summary>Accuracies of a model in float and, where a row names bit-widths, quantized (docs/methods/quantizers.md).</summary>
internal sealed class ClassificationRunner : TableRunner
{
    /// <inheritdoc />
    public override string Name => "classification";

    /// <inheritdoc />
    public override string Help => "Evaluates the float model and a quantized one.";

    /// <inheritdoc />
    public override IReadOnlyList<DataVariable> Data(TableRun run) => FamilyOf(run) is { } family && family != NaiveFamily.Entry
        ? [DataVariable.ImageNetValidation, DataVariable.Calibration]
        : [DataVariable.ImageNetValidation];

    /// <inheritdoc />
    public override string? Command(TableRun run) => run.Model.Kind == PublishedModelKind.Vit
        ? null
        : string.Concat(
            "eval classification MODEL",
            run.Rows[0]["bits"] is { } bits ? $" --baseline {run.Rows[0]["baseline"]} --bits {bits}" : " --baseline none",
            string.Concat(run.Rows[0].Options.Select(option => $" {option.Key} {option.Value}")));

    /// <inheritdoc />
    public override ExperimentOptions Configure(
        TableRun run, ExperimentOptions options, Func<ExperimentOptions, QuantizationBits, ExperimentOptions> execution) => FamilyOf(run) is { } family
        ? execution(options with { Quantizer = family, QuantizerValues = ValuesOf(run.Rows[0], family) }, BitsOf(run)!)
        : options;

    /// <inheritdoc />
    public override TableResult Measure(RunningTable running)
    {
        var experiment = running.Experiment;
        var plain = EncoderPlan.Plain(experiment.ImageTower.PlannedBlocks);
        var calibrator = BitsOf(running.Run) is { } bits ? experiment.Calibrator(bits) : null;
        EncoderPlan[] plans = calibrator is null ? [plain] : [plain, calibrator.Calibrate(plain).ApplyTo(plain)];
        var key = StageKey.Of(new
        {
            experiment.ModelKey,
            Images = experiment.Validation.Fingerprint,
            Classifier = experiment.Classifier.Hash,
            Quantizer = calibrator?.ToString(),
            Execution = $"{experiment.Backend?.Mode}",
            experiment.Options.BatchSize,
        });
        var scores = experiment.Stage(
            "classification", key, "evaluation", pass => PlanEvaluation.Run(experiment.ImageTower, experiment.Classifier, experiment.Validation, new(plans), pass).ToArray());
        experiment.TellRemarks();
        experiment.WriteResult(running.CommandLine, calibrator?.ToString() ?? "float", new { Float = scores[0], Quantized = scores.ElementAtOrDefault(1) });
        (string, double)[] values =
        [
            ("float", scores[0].Accuracy),
            ("float_top5", scores[0].AccuracyTop5),
            .. scores.Skip(1).Select(score => ("quantized", score.Accuracy)),
        ];
        return TableResult.OfValidation(experiment, running.Run.Rows.SelectMany(row => MeasuredCell.Of(row, values)));
    }

    /// <inheritdoc />
    protected override IEnumerable<string> RunOf(PublishedRow row, bool onDemo) => row["bits"] is { } bits
        ? [row["baseline"] ?? "", bits, .. row["variant"] is { } variant ? [variant] : Array.Empty<string>()]
        : [];

    private static QuantizerFamily? FamilyOf(TableRun run) =>
        run.Rows[0]["baseline"] is { } name ? QuantizerFamilies.All.Find(name) : null;

    private static QuantizationBits? BitsOf(TableRun run) => run.Rows[0]["bits"] is { } bits ? QuantizationBits.Parse(bits) : null;
}
