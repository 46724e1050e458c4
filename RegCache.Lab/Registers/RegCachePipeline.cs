using System.Diagnostics;
using System.Text.Json.Serialization;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Storage;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Registers;

/// <summary>What a pipeline run works on.</summary>
/// <param name="Model">Model name for file names and tables, for example "ViT-B-16".</param>
/// <param name="Pretrained">Tag of the weights, for example "openai".</param>
/// <param name="ModelHash">Identifies the weights, configuration, precision and device, for stage keys.</param>
/// <param name="Tower">The float vision tower.</param>
/// <param name="Classifier">Turns features into class scores.</param>
/// <param name="SearchImages">The set of extraction and search.</param>
/// <param name="ValidationImages">The set of the final evaluation.</param>
/// <param name="Baseline">The quantizer's family.</param>
/// <param name="Calibration">Finds the ranges of the quantizer at given bit-widths.</param>
/// <param name="BatchSize">Images in a batch; dynamic ranges of scope `batch` depend on it.</param>
/// <param name="Scope">Over what activation ranges are taken, for tables.</param>
public sealed record RegCacheSubject(
    string Model,
    string Pretrained,
    string ModelHash,
    VisionTower Tower,
    ZeroShotClassifier Classifier,
    IImageSource SearchImages,
    IImageSource ValidationImages,
    QuantizerFamily Baseline,
    Func<QuantizationBits, ICalibrator> Calibration,
    int BatchSize,
    string Scope)
{
    /// <summary>How quantized layers run, for stage keys: results differ by rounding.</summary>
    public string Execution { get; init; } = "";

    /// <summary>The name under which prefixes of this model are kept.</summary>
    public string PrefixFolder => $"clip_global_prefix_{Model}_{Pretrained}";
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

/// <summary>
/// The six stages of RegCache (regcache.md, section 3). Each stage writes its result to the run directory and is skipped
/// when a valid result with the same key is there; a killed stage goes on from its last checkpoint.
/// </summary>
public sealed class RegCachePipeline
{
    private readonly RegCacheSubject _subject;
    private readonly RegCacheOptions _options;
    private readonly RunDirectory _directory;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<QuantizationBits, ICalibrator> _calibrations = [];

    /// <summary>Prepares a run; nothing is computed yet.</summary>
    /// <exception cref="UserException">The options do not fit the encoder.</exception>
    public RegCachePipeline(
        RegCacheSubject subject, RegCacheOptions options, RunDirectory directory, CancellationToken cancellation = default)
    {
        options.Validate(subject.Tower.Config.Patches);
        (_subject, _options, _directory, _cancellation) = (subject, options, directory, cancellation);
    }

    /// <summary>Runs all stages.</summary>
    public RegCacheResult Run()
    {
        var clock = Stopwatch.StartNew();
        var table = MeasureSensitivity();
        var sensitive = MostSensitive(table);
        var candidates = CandidateExtraction.Blocks(sensitive.Block);
        using var prefixes = new PrefixStore(_subject, _options, _directory, _cancellation);
        prefixes.Prepare(candidates);
        var grid = Search(sensitive.Block, candidates, prefixes);
        return Evaluate(table, sensitive, candidates, grid, prefixes, clock);
    }

    /// <summary>Runs stages 1 to 4: the sensitive layer, the candidate blocks and their averaged prefixes.</summary>
    /// <returns>The sensitive layer.</returns>
    public SensitivityRow Extract()
    {
        var sensitive = MostSensitive(MeasureSensitivity());
        var candidates = CandidateExtraction.Blocks(sensitive.Block);
        using var prefixes = new PrefixStore(_subject, _options, _directory, _cancellation);
        prefixes.Prepare(candidates);
        return sensitive;
    }

    /// <summary>Runs stages 1 to 5 and returns the scores of all settings.</summary>
    public SearchGrid Search()
    {
        var sensitive = MostSensitive(MeasureSensitivity());
        var candidates = CandidateExtraction.Blocks(sensitive.Block);
        using var prefixes = new PrefixStore(_subject, _options, _directory, _cancellation);
        prefixes.Prepare(candidates);
        return Search(sensitive.Block, candidates, prefixes);
    }

    private SensitivityTable MeasureSensitivity()
    {
        var calibration = Stored(_options.SensitivityBits ?? _options.Bits);
        var key = StageKey.Of(new
        {
            _subject.ModelHash,
            _subject.Execution,
            Data = _subject.SearchImages.Fingerprint,
            _subject.BatchSize,
            Quantizer = calibration.ToString(),
        });
        if (!_directory.Stages.TryLoad<SensitivityTable>("stage1", key, out var table))
        {
            var quantizer = calibration.Calibrate(EncoderPlan.Plain(_subject.Tower.Blocks.Count));
            table = SensitivitySearch.Run(
                _subject.Tower, _subject.Classifier, _subject.SearchImages, quantizer, Pass("stage 1: sensitivity", "stage1", key));
            _directory.Stages.Save("stage1", key, table);
        }

        RegCacheTables.Write(_directory, table);
        return table;
    }

    private SensitivityRow MostSensitive(SensitivityTable table)
    {
        var metric = _options.SensitivityMetric;
        if (metric == SearchMetric.Accuracy && table.AccuracyIsIndistinct())
        {
            _directory.Progress.Message(
                "stage 1: two layers of different blocks lose the same accuracy within one point, so the feature error decides (--sensitivity-metric mse).");
            metric = SearchMetric.Mse;
        }

        return table.Worst(metric);
    }

    private SearchGrid Search(int deleteBlock, ValueList<int> candidates, PrefixStore prefixes)
    {
        if (_options.BlockSearch == BlockSearch.Exhaustive)
        {
            return SearchAmong("stage5", deleteBlock, candidates, _options.MaxPrefix, prefixes);
        }

        var first = SearchAmong("stage5-first", deleteBlock, candidates, maxPrefix: 1, prefixes);
        var chosen = first.Best(_options.SearchMetric).ExtractionBlock;
        return SearchAmong("stage5", deleteBlock, [chosen], _options.MaxPrefix, prefixes);
    }

    private SearchGrid SearchAmong(
        string stage, int deleteBlock, ValueList<int> candidates, int maxPrefix, PrefixStore prefixes)
    {
        var calibration = Remembered(_options.Bits);
        var recalibration = _options.Recalibration ?? calibration.Recalibration;
        // A method that can afford every setting is faster than files, and its quantizers share what they have in common.
        calibration = calibration.Recalibration == Recalibration.Every ? calibration : Stored(_options.Bits);
        var settings = RegisterSearch.Settings(candidates, deleteBlock, maxPrefix, _options);
        var chosen = candidates.ToDictionary(block => block, prefixes.Prefix);
        var key = StageKey.Of(new
        {
            _subject.ModelHash,
            _subject.Execution,
            Data = _subject.SearchImages.Fingerprint,
            _subject.BatchSize,
            Quantizer = calibration.ToString(),
            deleteBlock,
            Prefixes = chosen.Values.Select(prefix => prefix.Id),
            maxPrefix,
            _options.MaxDelete,
            _options.PrefixBlocks,
            _options.SearchMetric,
            _options.Prune,
            recalibration,
        });
        if (!_directory.Stages.TryLoad<SearchGrid>(stage, key, out var grid))
        {
            grid = RegisterSearch.Run(
                _subject.Tower,
                _subject.Classifier,
                _subject.SearchImages,
                calibration,
                settings,
                chosen,
                _options,
                Pass($"stage 5: {settings.Count} settings", stage, key));
            _directory.Stages.Save(stage, key, grid);
        }

        RegCacheTables.Write(_directory, grid, stage);
        return recalibration == Recalibration.TwoPass ? SearchFinalists($"{stage}-finalists", calibration, grid, chosen, key) : grid;
    }

    private SearchGrid SearchFinalists(
        string stage, ICalibrator calibration, SearchGrid first, Dictionary<int, RegisterPrefix> prefixes, StageKey firstKey)
    {
        var key = StageKey.Of(new { First = firstKey.Hash, _options.Finalists });
        if (!_directory.Stages.TryLoad<SearchGrid>(stage, key, out var grid))
        {
            grid = RegisterSearch.RunFinalists(
                _subject.Tower,
                _subject.Classifier,
                _subject.SearchImages,
                calibration,
                first,
                prefixes,
                _options,
                Pass($"stage 5: the best {_options.Finalists} settings again", stage, key));
            _directory.Stages.Save(stage, key, grid);
        }

        return grid;
    }

    // Files of earlier runs may be ignored (--force); what this run has calibrated is used by all its stages.
    private ICalibrator Remembered(QuantizationBits bits)
    {
        if (!_calibrations.TryGetValue(bits, out var calibration))
        {
            _calibrations.Add(bits, calibration = new RememberedCalibrator(_subject.Calibration(bits)));
        }

        return calibration;
    }

    private StoredCalibrator Stored(QuantizationBits bits) => new(
        Remembered(bits),
        _directory.PathOf("calibration"),
        _subject.Tower,
        _subject.ModelHash,
        _directory.Progress,
        _directory.Force);

    private RegCacheResult Evaluate(
        SensitivityTable table, SensitivityRow sensitive, ValueList<int> candidates, SearchGrid grid, PrefixStore prefixes, Stopwatch clock)
    {
        var best = grid.Best(_options.SearchMetric);
        var selected = new RegCacheSetting(best.ExtractionBlock, best.PrefixCount, grid.DeleteBlock, best.DeleteCount)
        {
            PrefixBlocks = _options.PrefixBlocks,
        };
        var calibration = Stored(_options.Bits);
        var prefix = prefixes.Prefix(selected.ExtractionBlock);
        var key = StageKey.Of(new
        {
            _subject.ModelHash,
            _subject.Execution,
            Data = _subject.ValidationImages.Fingerprint,
            _subject.BatchSize,
            Quantizer = calibration.ToString(),
            Prefix = prefix.Id,
            selected,
        });
        if (!_directory.Stages.TryLoad<FinalScores>("stage6", key, out var scores))
        {
            scores = FinalScores.Run(
                _subject.Tower,
                _subject.Classifier,
                _subject.ValidationImages,
                calibration,
                selected,
                prefix,
                Pass("stage 6: evaluation", "stage6", key));
            _directory.Stages.Save("stage6", key, scores);
        }

        var report = new RegCacheReport(
            sensitive.Block,
            sensitive.Layer.FullName(sensitive.Block),
            candidates,
            selected,
            [.. selected.PrefixedBlocks(_subject.Tower.Blocks.Count)],
            100.0 * best.Correct / grid.Images,
            _directory.PathOf(RegCacheTables.ResultFileName(_subject, _options)));
        RegCacheTables.Append(report.ResultCsv, ResultRow.Of(_subject, _options, report, scores, clock.Elapsed));
        return new(report, scores, table, grid);
    }

    private EvaluationRun Pass(string title, string stage, StageKey key) => new(title, _subject.BatchSize)
    {
        Progress = _directory.Progress,
        Checkpoint = _directory.Stages.Checkpoint<PassState>(stage, key),
        Cancellation = _cancellation,
    };
}
