using CsvHelper;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Placement;

/// <summary>A row of <c>placement.csv</c>: what a classifier achieves and costs, by where its tokens enter.</summary>
/// <param name="Model">The model.</param>
/// <param name="ClassBlock">The class token enters before this block.</param>
/// <param name="RegisterBlock">The registers enter before this block; 0 where there are none.</param>
/// <param name="Registers">Number of registers.</param>
/// <param name="Seed">The seed of its training; null where nobody told.</param>
/// <param name="Top1">Top-1 accuracy, percent.</param>
/// <param name="Top5">Top-5 accuracy, percent.</param>
/// <param name="Loss">Mean cross entropy.</param>
/// <param name="GigaMacs">Multiply-accumulates of one image, in 10^9.</param>
/// <param name="ImagesPerSecond">Median of the repeats.</param>
/// <param name="SpeedRatio">Median of its speed relative to the first model's in the same repeat.</param>
/// <param name="MacsRatio">The first model's multiply-accumulates divided by its own: the speed ratio that they predict.</param>
/// <param name="NormRatio">Largest patch norm of the last block's output over the median one, mean over images.</param>
/// <param name="Outliers">Patches of an image with more than five times the median norm there, mean over images.</param>
/// <param name="Images">Images of the accuracy.</param>
[CsvRecord]
public sealed partial record PlacementRow(
    string Model,
    int ClassBlock,
    int RegisterBlock,
    int Registers,
    long? Seed,
    double Top1,
    double Top5,
    double Loss,
    double GigaMacs,
    double ImagesPerSecond,
    double SpeedRatio,
    double MacsRatio,
    double NormRatio,
    double Outliers,
    int Images);

/// <summary>Compares classifiers whose tokens enter at different places (docs/methods/late-tokens.md, "Placement study").</summary>
public static class PlacementStudy
{
    // The protocol is for comparisons, not for records: it is short.
    private static readonly ThroughputOptions _protocol = new() { Runs = 12, Repeats = 5 };

    /// <summary>Measures trained classifiers on one labelled set.</summary>
    /// <param name="models">The classifiers, each with its name and the seed of its training.</param>
    /// <param name="imagesOf">The set as input of a classifier.</param>
    /// <param name="normImages">Images whose patch norms are looked at.</param>
    /// <param name="run">Batch size, progress, and what stops it.</param>
    /// <exception cref="UserException">The set does not fit a classifier.</exception>
    public static IReadOnlyList<PlacementRow> Measure(
        IReadOnlyList<(string Name, long? Seed, DynamicVit Model)> models, Func<DynamicVit, IImageSource> imagesOf, int normImages, EvaluationRun run)
    {
        ArgumentNullException.ThrowIfNull(models);
        ArgumentNullException.ThrowIfNull(imagesOf);
        ArgumentNullException.ThrowIfNull(run);
        var measured = models.Select(entry =>
        {
            var (name, _, model) = entry;
            var images = imagesOf(model);
            var score = VitEvaluation.Run(model.Tower, images, run with { Title = name });
            var norms = TokenNorms.Measure(model.Tower, images, normImages, run with { Title = $"{name}, norms" })[^1];
            return (Score: score, Norms: norms, Macs: MacsTable.Of(model.Tower, EncoderPlan.Plain(model.Config.Depth)).Total);
        }).ToList();
        var speeds = Throughput.Measure([.. models.Select(entry => entry.Model.Tower)], _protocol with { Batch = run.BatchSize }, run.Progress, run.Cancellation);
        return
        [
            .. models.Select((entry, index) =>
            {
                var (config, (score, norms, macs)) = (entry.Model.Config, measured[index]);
                return new PlacementRow(
                    entry.Name,
                    config.ClassBlock,
                    config.Registers == 0 ? 0 : config.RegisterBlock,
                    config.Registers,
                    entry.Seed,
                    score.Top1,
                    score.Top5,
                    score.Loss,
                    macs / 1e9,
                    speeds[index].ImagesPerSecond,
                    speeds[index].Ratio,
                    (double)measured[0].Macs / macs,
                    norms.Ratio,
                    norms.Outliers,
                    score.Images);
            }),
        ];
    }
}
