using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Cli.Reproduction;

/// <summary>
/// Rows of methods that merge or drop tokens (docs/methods/token-merging.md): accuracy, throughput where it is wanted, and
/// multiply-accumulates, which the shape of the model alone decides.
/// </summary>
internal sealed class MergingRunner : TableRunner
{
    /// <inheritdoc />
    public override string Name => "merging";

    /// <inheritdoc />
    public override string Help => "Evaluates ways to shorten the token stream.";

    /// <inheritdoc />
    public override IReadOnlyList<DataVariable> Data(TableRun run) => [DataVariable.ImageNetValidation];

    /// <inheritdoc />
    public override string Command(TableRun run)
    {
        string List(string key) => string.Join(',', run.Rows.Select(row => row[key]).Where(value => value is not null and not "plain").Distinct());
        return string.Concat(
            $"study merging MODEL --pixels {run.Model.Pixels} --crop {run.Model.Crop}",
            List("method") is { Length: > 0 } methods ? $" --methods {methods}" : "",
            List("r") is { Length: > 0 } schedules ? $" --r {schedules}" : "");
    }

    /// <inheritdoc />
    public override IEnumerable<MeasuredCell> WithoutWeights(TableRun run)
    {
        if (!run.Asks("gmacs") || run.Model.Vision is not { } shape)
        {
            return [];
        }

        var config = new VisionConfig
        {
            Width = shape.Width,
            Layers = shape.Layers,
            HeadWidth = shape.HeadWidth,
            PatchSize = shape.PatchSize,
            ImageSize = (shape.ImageSize, shape.ImageSize),
        };
        var plain = EncoderPlan.Plain(shape.Layers);
        return run.Rows.Where(row => row.Values.ContainsKey("gmacs")).Select(row => new MeasuredCell(
            row, "gmacs", MacsTable.Of(config, run.Model.Classes ?? 0, SettingOf(row, onDemo: false).ApplyTo(plain)).Total / 1e9));
    }

    /// <inheritdoc />
    public override TableResult Measure(RunningTable running)
    {
        var (experiment, rows) = (running.Experiment, running.Run.Rows);
        var plain = EncoderPlan.Plain(experiment.Tower.Blocks.Count);
        MergingSetting[] settings = [.. rows.Select(row => SettingOf(row, running.Run.OnDemo))];
        var tree = new PlanTree([.. settings.Select(setting => setting.ApplyTo(plain))]);
        var key = StageKey.Of(new
        {
            experiment.ModelKey,
            Images = experiment.Validation.Fingerprint,
            Classifier = experiment.Classifier.Hash,
            Settings = settings.Select(setting => setting.ToString()),
            experiment.Options.Seed,
            experiment.Options.BatchSize,
        });
        // Tables of several papers share a model's folder.
        var scores = experiment.Stage(
            $"accuracy-{running.Run.Table.Id}",
            key,
            "accuracy",
            pass => PlanEvaluation.Run(experiment.Tower, experiment.Classifier, experiment.Validation, tree, pass).ToArray());
        var macs = tree.Plans.Select(plan => MacsTable.Of(experiment.Tower, plan).Total / 1e9).ToArray();
        var speeds = running.MeasuresSpeed && running.Run.Asks("images_per_second")
            ? Throughput.Measure(experiment.Tower, tree.Plans, new() { Batch = experiment.Options.BatchSize }, experiment.Progress, experiment.Cancellation)
            : null;
        experiment.TellRemarks();
        var results = rows.Select((_, index) => new
        {
            settings[index].Method.Name,
            R = settings[index].Schedule.ToString(),
            Top1 = scores[index].Accuracy,
            Top5 = scores[index].AccuracyTop5,
            Gmacs = macs[index],
            ImagesPerSecond = speeds?[index].ImagesPerSecond,
        }).ToArray();
        experiment.WriteResult(running.CommandLine, string.Join("; ", settings.AsEnumerable()), results);
        return TableResult.OfValidation(experiment, rows.Zip(results).SelectMany(pair => MeasuredCell.Of(
            pair.First,
            [
                ("top1", pair.Second.Top1),
                ("gmacs", pair.Second.Gmacs),
                .. pair.Second.ImagesPerSecond is { } speed ? [("images_per_second", speed)] : Array.Empty<(string, double)>(),
            ])));
    }

    /// <inheritdoc />
    protected override IEnumerable<string> RunOf(PublishedRow row, bool onDemo) => [];

    // The phases of a published row are those of its model's depth; on the demo model the methods' own defaults hold.
    private static MergingSetting SettingOf(PublishedRow row, bool onDemo)
    {
        if (row["method"] is null or "plain")
        {
            return MergingSetting.Plain;
        }

        var method = MergingMethods.All.Find(row["method"]!);
        return new(method, MergeSchedule.Parse(row["r"] ?? ""))
        {
            Options = onDemo ? MethodValues.None : ValuesOf(row, method),
            ProportionalAttention = row["proportional_attention"] != "off",
        };
    }
}
