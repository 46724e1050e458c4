using System.Text.Json;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.ShapesClip;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The model card of the demo model: how it was made, and every number of its evaluation.</summary>
/// <param name="Learned">What about its register tokens is learned.</param>
/// <param name="Planted">What about them is planted.</param>
/// <param name="Recipe">How it was trained.</param>
/// <param name="TrainSeconds">Wall time of the training steps, without the evaluations.</param>
/// <param name="WeightsSha256">SHA-256 of the weight file.</param>
/// <param name="Versions">Versions of the kit, its libraries and the system.</param>
/// <param name="Registers">Patch norms and outliers on calibration images, by place.</param>
/// <param name="Results">Accuracies on test images, by bit-width.</param>
/// <param name="Control">The same encoder after the first phase, before anything was planted.</param>
internal sealed record TrainShapesClipCard(
    string Learned,
    string Planted,
    ShapesClipOptions Recipe,
    double TrainSeconds,
    string WeightsSha256,
    IReadOnlyDictionary<string, string> Versions,
    IReadOnlyList<TokenNorms> Registers,
    IReadOnlyList<RegCacheSummary> Results,
    IReadOnlyList<RegCacheSummary> Control)
{
    private const int BatchSize = 64;
    private const int SearchImages = 480;
    private const int CalibrationImages = 512;
    private static readonly QuantizationBits[] _bits = [new(8, 8), new(6, 6), new(4, 4)];

    /// <summary>Measures the saved model. Everything is chosen on validation images; the accuracies are of test images.</summary>
    public static TrainShapesClipCard Measure(
        ShapesClipOptions options, RunDirectory directory, double trainSeconds, CancellationToken cancellation)
    {
        var folder = directory.PathOf("model");
        using var clip = LoadedClip.Load(folder);
        var calibration = Images(ShapesSplit.Calibration, CalibrationImages, options);
        return new(
            "At which seven places of the patch grid registers may sit, whether a patch there is marked as one (the mark neuron's input weights, taught by losses that end before the training does), and that later blocks use registers as attention sinks (a temporary reward asks for a share of 0.3).",
            "That there are at most about seven, the two residual channels that they use, how large they are, and the blocks (2, 3, 4) in which neuron 0 of the MLP takes a hidden value above 1000.",
            options,
            trainSeconds,
            clip.Hash,
            KitVersions.Current,
            TokenNorms.Measure(
                clip.Model.Vision, calibration, calibration.Count, new("norms", BatchSize) { Progress = directory.Progress, Cancellation = cancellation }),
            RunAll(clip, "model", options, directory, cancellation),
            RunControl(options, directory, cancellation));
    }

    /// <summary>The card as JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, ReportJson.Options) + "\n";

    /// <summary>Prints the accuracies.</summary>
    public void Print(IAnsiConsole console)
    {
        SummaryTable.Print(console, "registers", Results);
        SummaryTable.Print(console, "control without registers", Control);
    }

    private static IReadOnlyList<RegCacheSummary> RunControl(
        ShapesClipOptions options, RunDirectory directory, CancellationToken cancellation)
    {
        var folder = directory.PathOf("control");
        if (!Directory.Exists(folder))
        {
            return [];
        }

        using var clip = LoadedClip.Load(folder);
        return RunAll(clip, "control", options, directory, cancellation);
    }

    private static IReadOnlyList<RegCacheSummary> RunAll(
        LoadedClip clip, string name, ShapesClipOptions options, RunDirectory directory, CancellationToken cancellation)
    {
        using var classifier = ShapesClipEvaluation.Classifier(clip.Model);
        var search = Images(ShapesSplit.Validation, SearchImages, options);
        var test = Images(ShapesSplit.Test, ShapesSet.DefaultCount(ShapesSplit.Test), options);
        return
        [
            .. _bits.Select(bits =>
            {
                using var run = RunDirectory.Open(directory.PathOf(Path.Combine("regcache", $"{name}-{bits}")), directory.Force, directory.Progress);
                var subject = new RegCacheSubject(
                    "shapes-clip",
                    name,
                    clip.Hash,
                    clip.Model.Vision,
                    classifier,
                    search,
                    test,
                    NaiveFamily.Entry,
                    width => new NaiveQuantizer(width),
                    BatchSize,
                    "batch");
                var pipeline = new RegCachePipeline(
                    subject,
                    new() { Bits = bits, BlockSearch = BlockSearch.TwoStep, Prune = true },
                    run,
                    cancellation);
                return RegCacheSummary.Of(bits, pipeline.Run());
            }),
        ];
    }

    private static ShapesImageSource Images(ShapesSplit split, int count, ShapesClipOptions options) =>
        new(ShapesSet.Generate(split, count, options.DataSeed));
}
