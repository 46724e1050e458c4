using System.Diagnostics;
using System.Text.Json.Serialization;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Registers;

/// <summary>
/// The six stages of RegCache (arXiv 2510.04547; docs/methods/regcache.md). Each keeps its result in the run directory and is
/// skipped when one with the same key is there; a stage that was killed goes on from its last checkpoint.
/// </summary>
public sealed class RegCachePipeline
{
    private readonly Experiment _experiment;
    private readonly RegCacheOptions _options;

    /// <summary>Prepares a run; nothing is computed yet.</summary>
    /// <param name="experiment">Model, images, quantizer and run directory.</param>
    /// <param name="options">What the run does.</param>
    /// <exception cref="UserException">The options do not fit the encoder.</exception>
    public RegCachePipeline(Experiment experiment, RegCacheOptions options)
    {
        options.Validate(experiment.Tower.Config.Patches);
        (_experiment, _options) = (experiment, options);
    }

    /// <summary>The folder of the averaged prefixes.</summary>
    public string PrefixFolder => PrefixFiles.FolderOf(_experiment);

    /// <summary>Runs all stages.</summary>
    public RegCacheResult Run()
    {
        var clock = Stopwatch.StartNew();
        var sensitivity = MeasureSensitivity();
        var sensitive = MostSensitive(sensitivity);
        var candidates = CandidateExtraction.Blocks(sensitive.Block);
        var prefixes = AveragePrefixes(candidates);
        var grid = Search(sensitive.Block, candidates, prefixes);
        var best = grid.Best(_options.SearchMetric);
        var selected = grid.SettingOf(best, _options.PrefixBlocks);
        var scores = Evaluate(selected, prefixes[selected.ExtractionBlock]);

        var report = new RegCacheReport(
            sensitive.Block,
            sensitive.Layer.FullName(sensitive.Block),
            candidates,
            selected,
            [.. selected.PrefixedBlocks(_experiment.Tower.Blocks.Count)],
            100.0 * best.Correct / grid.Images,
            _experiment.Directory.PathOf(ResultRow.FileName(_experiment, _options)));
        CsvTable.Append(report.ResultCsv, ResultRow.Of(_experiment, _options, report, scores, clock.Elapsed));
        return new(report, scores, sensitivity, grid);
    }

    /// <summary>Runs stages 1 to 4: the sensitive layer, the candidate blocks and their averaged prefixes.</summary>
    /// <returns>The sensitive layer.</returns>
    public SensitivityRow Extract()
    {
        var sensitive = MostSensitive(MeasureSensitivity());
        AveragePrefixes(CandidateExtraction.Blocks(sensitive.Block));
        return sensitive;
    }

    /// <summary>Runs stages 1 to 5 and returns the scores of all settings.</summary>
    public SearchGrid Search()
    {
        var sensitive = MostSensitive(MeasureSensitivity());
        var candidates = CandidateExtraction.Blocks(sensitive.Block);
        return Search(sensitive.Block, candidates, AveragePrefixes(candidates));
    }

    /// <summary>Runs stages 1 to 5 and returns the setting that does best.</summary>
    public RegCacheSetting Select()
    {
        var grid = Search();
        return grid.SettingOf(grid.Best(_options.SearchMetric), _options.PrefixBlocks);
    }

    // Stage 1: what quantizing one layer alone costs.
    private SensitivityTable MeasureSensitivity()
    {
        var calibrator = _experiment.Calibrator(_options.SensitivityBits ?? _options.Bits);
        var table = _experiment.Stage(
            "stage1",
            StageKey.Of(Inputs(_experiment.Search, calibrator)),
            "stage 1: sensitivity",
            pass => SensitivitySearch.Run(
                _experiment.Tower,
                _experiment.Classifier,
                _experiment.Search,
                calibrator.Calibrate(EncoderPlan.Plain(_experiment.Tower.Blocks.Count)),
                pass));
        CsvTable.Write(_experiment.Directory.PathOf("stage1_sensitivity.csv"), SensitivityCsv.Rows(table));
        return table;
    }

    private SensitivityRow MostSensitive(SensitivityTable table)
    {
        var metric = _options.SensitivityMetric;
        if (metric == SearchMetric.Accuracy && table.AccuracyIsIndistinct())
        {
            _experiment.Progress.Message(
                "stage 1: two layers of different blocks lose the same accuracy within one point, so the feature error decides (--sensitivity-metric mse).");
            metric = SearchMetric.Mse;
        }

        return table.Worst(metric);
    }

    // Stages 3 and 4: the registers of the candidate blocks (stage 2), and their mean keys and values.
    private Dictionary<int, RegisterPrefix> AveragePrefixes(ValueList<int> candidates)
    {
        var (tower, images) = (_experiment.Tower, _experiment.Search);
        var caches = new PrefixFiles(_experiment, _options).GetOrCompute(candidates, missing =>
        {
            var tokens = CandidateExtraction.Run(
                tower, images, missing, _options.TopTokens, _options.ScoreTensor, _experiment.Pass("stage 3: candidates"));
            return PrefixAveraging.Run(tower, images, tokens, _experiment.Pass("stage 4: averaging"));
        });
        return caches.ToDictionary(pair => pair.Key, pair =>
        {
            using var cache = pair.Value;
            return cache.ToPrefix(tower.Placement.Device);
        });
    }

    // Stage 5: where the prefix starts, how long it is, and how much is deleted.
    private SearchGrid Search(int deleteBlock, ValueList<int> candidates, Dictionary<int, RegisterPrefix> prefixes)
    {
        if (_options.BlockSearch == BlockSearch.TwoStep)
        {
            var first = SearchAmong("stage5-first", deleteBlock, candidates, maxPrefix: 1, prefixes);
            candidates = [first.Best(_options.SearchMetric).ExtractionBlock];
        }

        return SearchAmong("stage5", deleteBlock, candidates, _options.MaxPrefix, prefixes);
    }

    private SearchGrid SearchAmong(
        string stage, int deleteBlock, ValueList<int> candidates, int maxPrefix, Dictionary<int, RegisterPrefix> prefixes)
    {
        var calibrator = _experiment.CalibratorInMemory(_experiment.Options.Quantizer, _options.Bits);
        var recalibration = _options.Recalibration ?? calibrator.Recalibration;
        // A method that can afford every setting is faster than files, and its quantizers share what they have in common.
        calibrator = calibrator.Recalibration == Recalibration.Every ? calibrator : _experiment.Calibrator(_options.Bits);
        var settings = RegisterSearch.Settings(candidates, deleteBlock, maxPrefix, _options);
        var key = StageKey.Of(new
        {
            Inputs = Inputs(_experiment.Search, calibrator),
            deleteBlock,
            Prefixes = candidates.Select(block => prefixes[block].Id),
            maxPrefix,
            _options.MaxDelete,
            _options.PrefixBlocks,
            _options.SearchMetric,
            _options.Prune,
            recalibration,
        });
        var grid = _experiment.Stage(stage, key, $"stage 5: {settings.Count} settings", pass => RegisterSearch.Run(
            _experiment.Tower, _experiment.Classifier, _experiment.Search, calibrator, settings, prefixes, _options, pass));
        CsvTable.Write(_experiment.Directory.PathOf($"{stage}_grid.csv"), GridCsv.Rows(grid));
        return recalibration != Recalibration.TwoPass
            ? grid
            : _experiment.Stage(
                $"{stage}-finalists",
                StageKey.Of(new { First = key.Hash, _options.Finalists }),
                $"stage 5: the best {_options.Finalists} settings again",
                pass => RegisterSearch.RunFinalists(
                    _experiment.Tower, _experiment.Classifier, _experiment.Search, calibrator, grid, prefixes, _options, pass));
    }

    // Stage 6: the final numbers.
    private FinalScores Evaluate(RegCacheSetting selected, RegisterPrefix prefix)
    {
        var calibrator = _experiment.Calibrator(_options.Bits);
        var key = StageKey.Of(new { Inputs = Inputs(_experiment.Validation, calibrator), Prefix = prefix.Id, selected });
        return _experiment.Stage("stage6", key, "stage 6: evaluation", pass => FinalScores.Run(
            _experiment.Tower, _experiment.Classifier, _experiment.Validation, calibrator, selected, prefix, pass));
    }

    private PassInputs Inputs(IImageSource images, ICalibrator calibrator) => new(
        _experiment.ModelKey,
        _experiment.Classifier.Hash,
        $"{_experiment.Backend?.Mode}",
        images.Fingerprint,
        _experiment.Options.BatchSize,
        calibrator.ToString());

    // What every pass over images depends on. Integers and simulation differ by rounding.
    private sealed record PassInputs(string Model, string Classifier, string Execution, string Data, int BatchSize, string Quantizer);
}

/// <summary>What a pipeline run found.</summary>
/// <param name="Report">The ten lines.</param>
/// <param name="Scores">The selected setting on the validation images, beside what it is made of.</param>
/// <param name="Sensitivity">Stage 1, also in its CSV file.</param>
/// <param name="Grid">Stage 5, also in its CSV file.</param>
public sealed record RegCacheResult(
    RegCacheReport Report,
    FinalScores Scores,
    [property: JsonIgnore] SensitivityTable Sensitivity,
    [property: JsonIgnore] SearchGrid Grid);
