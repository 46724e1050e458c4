using System.Diagnostics;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;

namespace RegCache.Lab.Registers;

/// <summary>
/// Stage 5: scores every setting of extraction block, prefix count and delete count on the quantized model. The
/// settings are plans of one tree, so blocks before the first change run once for all.
/// </summary>
public static class RegisterSearch
{
    /// <summary>The settings, by extraction block, prefix count and delete count, ascending; prefix count 0 included.</summary>
    /// <param name="extractionBlocks">Candidate blocks t.</param>
    /// <param name="deleteBlock">Block k.</param>
    /// <param name="maxPrefix">Largest prefix count.</param>
    /// <param name="options">Ranges and prefix blocks.</param>
    public static IReadOnlyList<RegCacheSetting> Settings(
        ValueList<int> extractionBlocks, int deleteBlock, int maxPrefix, RegCacheOptions options) =>
    [
        .. from extraction in extractionBlocks
           from prefixCount in Enumerable.Range(0, maxPrefix + 1)
           from deleteCount in Enumerable.Range(0, options.MaxDelete + 1)
           select new RegCacheSetting(extraction, prefixCount, deleteBlock, deleteCount)
           {
               PrefixBlocks = options.PrefixBlocks,
           },
    ];

    /// <summary>The plans of the settings.</summary>
    /// <param name="quantized">The quantized encoder without RegCache.</param>
    /// <param name="settings">The settings.</param>
    /// <param name="prefixes">The prefix of every extraction block.</param>
    public static IReadOnlyList<EncoderPlan> Plans(
        EncoderPlan quantized,
        IReadOnlyList<RegCacheSetting> settings,
        IReadOnlyDictionary<int, RegisterPrefix> prefixes) =>
        [.. settings.Select(setting => setting.ApplyTo(quantized, prefixes[setting.ExtractionBlock]))];

    /// <summary>The plans of the settings on calibrated quantizers. Settings that agree are calibrated once.</summary>
    /// <param name="calibrator">Finds the ranges.</param>
    /// <param name="recalibration">How often.</param>
    /// <param name="layers">Number of blocks of the encoder.</param>
    /// <param name="settings">The settings.</param>
    /// <param name="prefix">The prefix of an extraction block.</param>
    public static IReadOnlyList<EncoderPlan> Plans(
        ICalibrator calibrator,
        Recalibration recalibration,
        int layers,
        IReadOnlyList<RegCacheSetting> settings,
        Func<int, RegisterPrefix?> prefix)
    {
        var plain = EncoderPlan.Plain(layers);
        var mostDeleted = settings.Max(setting => setting.DeleteCount);
        var calibrated = new Dictionary<EncoderPlan, IQuantizer>();
        EncoderPlan PlanOf(RegCacheSetting setting) => setting.ApplyTo(plain, prefix(setting.ExtractionBlock));

        return [.. settings.Select(setting =>
        {
            // In the first of two passes one calibration stands for all settings of a block.
            var representative = PlanOf(recalibration switch
            {
                Recalibration.Never => setting with { PrefixCount = 0, DeleteCount = 0 },
                Recalibration.TwoPass => setting with { PrefixCount = 1, DeleteCount = mostDeleted },
                Recalibration.Every => setting,
                _ => throw new UnreachableException(),
            });
            if (!calibrated.TryGetValue(representative, out var quantizer))
            {
                calibrated.Add(representative, quantizer = calibrator.Calibrate(representative));
            }

            return quantizer.ApplyTo(PlanOf(setting));
        })];
    }

    /// <summary>Scores the settings over a set of images.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="classifier">Turns features into class scores.</param>
    /// <param name="images">The search set.</param>
    /// <param name="calibrator">Finds the ranges of the quantizer.</param>
    /// <param name="settings">The settings to score, from <see cref="Settings"/>.</param>
    /// <param name="prefixes">The prefix of every extraction block.</param>
    /// <param name="options">Metric and pruning.</param>
    /// <param name="run">Batch size, progress, resumption.</param>
    /// <exception cref="UserException">The options contradict each other or do not fit the encoder.</exception>
    public static SearchGrid Run(
        VisionTower tower,
        ZeroShotClassifier classifier,
        IImageSource images,
        ICalibrator calibrator,
        IReadOnlyList<RegCacheSetting> settings,
        IReadOnlyDictionary<int, RegisterPrefix> prefixes,
        RegCacheOptions options,
        EvaluationRun run)
    {
        options.Validate(tower.Config.Patches);
        var recalibration = options.Recalibration ?? calibrator.Recalibration;
        var cells = Score(tower, classifier, images, calibrator, recalibration, settings, prefixes, options, run);
        return new(cells.Max(cell => cell.Images), settings[0].DeleteBlock, cells);
    }

    /// <summary>The second pass: calibrates for each of the best settings and scores them again.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="classifier">Turns features into class scores.</param>
    /// <param name="images">The search set.</param>
    /// <param name="calibrator">Finds the ranges of the quantizer.</param>
    /// <param name="grid">The scores of the first pass.</param>
    /// <param name="prefixes">The prefix of every extraction block.</param>
    /// <param name="options">Metric, pruning and number of finalists.</param>
    /// <param name="run">Batch size, progress, resumption.</param>
    /// <returns>The grid with its finalists, among which it chooses.</returns>
    public static SearchGrid RunFinalists(
        VisionTower tower,
        ZeroShotClassifier classifier,
        IImageSource images,
        ICalibrator calibrator,
        SearchGrid grid,
        IReadOnlyDictionary<int, RegisterPrefix> prefixes,
        RegCacheOptions options,
        EvaluationRun run)
    {
        var best = grid.Ranked(options.SearchMetric).Take(options.Finalists).ToHashSet();
        RegCacheSetting[] settings =
        [
            .. grid.Cells.Where(best.Contains).Select(cell => grid.SettingOf(cell, options.PrefixBlocks)),
        ];
        return grid with
        {
            Finalists = Score(
                tower, classifier, images, calibrator, Recalibration.Every, settings, prefixes, options with { Prune = false }, run),
        };
    }

    private static ValueList<GridCell> Score(
        VisionTower tower,
        ZeroShotClassifier classifier,
        IImageSource images,
        ICalibrator calibrator,
        Recalibration recalibration,
        IReadOnlyList<RegCacheSetting> settings,
        IReadOnlyDictionary<int, RegisterPrefix> prefixes,
        RegCacheOptions options,
        EvaluationRun run)
    {
        var plans = Plans(calibrator, recalibration, tower.Blocks.Count, settings, block => prefixes[block]).ToList();
        int? reference = null;
        if (options.SearchMetric == SearchMetric.Mse)
        {
            reference = plans.Count;
            plans.Add(EncoderPlan.Plain(tower.Blocks.Count));
        }

        var scores = PlanEvaluation.Run(
            tower, classifier, images, new(plans), run, reference, options.Prune ? CannotWin(settings) : null);
        return
        [
            .. settings.Zip(scores, (setting, score) => new GridCell(
                setting.ExtractionBlock,
                setting.PrefixCount,
                setting.DeleteCount,
                score.Images,
                score.Correct,
                reference is null ? null : score.FeatureMse)),
        ];
    }

    // A cell is dropped when even a perfect rest leaves it strictly behind, so ties stay exact.
    private static Func<IReadOnlyList<PlanScore>, int, int, bool> CannotWin(IReadOnlyList<RegCacheSetting> settings) => (scores, plan, remaining) =>
    {
        if (plan >= settings.Count || settings[plan].PrefixCount == 0)
        {
            return false;
        }

        var rivals = Enumerable.Range(0, settings.Count).Where(rival => settings[rival].PrefixCount > 0);
        return scores[plan].Correct + remaining < rivals.Max(rival => scores[rival].Correct);
    };
}

/// <summary>One setting of the search and its score.</summary>
/// <param name="ExtractionBlock">Prefix-extraction block t.</param>
/// <param name="PrefixCount">Prefix tokens tau.</param>
/// <param name="DeleteCount">Deleted tokens.</param>
/// <param name="Images">Images that were run; fewer than the set when the cell was dropped because it could not win.</param>
/// <param name="Correct">Correct predictions among them.</param>
/// <param name="FeatureMse">Mean squared error of the features against the float model; null when it was not asked for.</param>
public sealed record GridCell(
    int ExtractionBlock, int PrefixCount, int DeleteCount, int Images, long Correct, double? FeatureMse);

/// <summary>Stage 5: the scores of all settings.</summary>
/// <param name="Images">Images in the search set.</param>
/// <param name="DeleteBlock">Block k before which tokens are deleted.</param>
/// <param name="Cells">One entry a setting, by extraction block, prefix count and delete count, ascending.</param>
public sealed record SearchGrid(int Images, int DeleteBlock, ValueList<GridCell> Cells)
{
    /// <summary>
    /// The best settings, in the order of the cells, scored again with ranges calibrated for each; null when the cells'
    /// own scores decide.
    /// </summary>
    public ValueList<GridCell>? Finalists { get; init; }

    /// <summary>
    /// The best setting with at least one prefix token: the first maximum of the correct predictions (or minimum of the
    /// error) in the order of the cells, so that ties go to the smallest block, then prefix count, then delete count.
    /// </summary>
    public GridCell Best(SearchMetric metric) => Ranked(metric, Finalists ?? Cells).First();

    /// <summary>The cells in the order in which <see cref="Best"/> would choose them, ignoring the finalists.</summary>
    public IEnumerable<GridCell> Ranked(SearchMetric metric) => Ranked(metric, Cells);

    /// <summary>The setting of a cell.</summary>
    /// <param name="cell">A cell of the grid.</param>
    /// <param name="prefixBlocks">The blocks that see the prefix.</param>
    public RegCacheSetting SettingOf(GridCell cell, PrefixBlocks prefixBlocks) =>
        new(cell.ExtractionBlock, cell.PrefixCount, DeleteBlock, cell.DeleteCount) { PrefixBlocks = prefixBlocks };

    /// <summary>The cell of a setting.</summary>
    public GridCell this[int extractionBlock, int prefixCount, int deleteCount] => Cells.First(
        cell => (cell.ExtractionBlock, cell.PrefixCount, cell.DeleteCount) == (extractionBlock, prefixCount, deleteCount));

    private IEnumerable<GridCell> Ranked(SearchMetric metric, ValueList<GridCell> cells)
    {
        // Sorting is stable, so equals stay in the order of the cells.
        var searched = cells.Where(cell => cell.PrefixCount > 0 && cell.Images == Images);
        return metric == SearchMetric.Accuracy
            ? searched.OrderByDescending(cell => cell.Correct)
            : searched.OrderBy(cell => cell.FeatureMse);
    }
}
