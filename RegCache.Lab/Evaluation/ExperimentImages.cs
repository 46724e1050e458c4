using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// The image sets of an experiment. They are listed at once, so that a wrong path is told before a model is loaded, and read as the
/// model wants its input. A set that is named twice is listed and read as one.
/// </summary>
internal sealed class ExperimentImages : IDisposable
{
    // A search reads its images several times; what fits is decoded once.
    private const long CropCacheBytes = 2L << 30;

    private readonly ExperimentOptions _options;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<string, ImageSet> _sets = [];
    private readonly OrderedDictionary<ImageSet, ImageSetSource> _sources = [];
    private readonly List<ImageSetSource> _added = [];
    private readonly ImageSet? _listedSearch;
    private readonly ImageSet? _listedValidation;
    private IWorkProgress _progress;
    private ImagePreprocessor? _preprocessor;
    private IImageSource? _search;
    private IImageSource? _validation;

    /// <summary>Lists the sets that the options name.</summary>
    /// <exception cref="UserException">A set is missing or damaged, has no labels, or the two have different classes.</exception>
    public ExperimentImages(ExperimentOptions options, IWorkProgress progress, CancellationToken cancellation)
    {
        (_options, _progress, _cancellation) = (options, progress, cancellation);
        try
        {
            _listedValidation = options.ValidationImages is { } last ? Open(last, options.ValidationVariable) : null;
            _listedSearch = options.SearchImages is { } first ? Open(first, DataVariable.TrainSample) : _listedValidation;
            Assumption = _listedValidation is null ? null : _listedSearch!.RequireClasses(_listedValidation.ClassNames);
            _listedValidation ??= _listedSearch;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What was assumed of the classes of two sets, one sentence; null: nothing.</summary>
    public string? Assumption { get; }

    /// <summary>The set that says which classes there are; null: the generated pictures do.</summary>
    public ImageSet? OfClasses => _listedValidation;

    /// <summary>Images that every choice is made on.</summary>
    /// <exception cref="InvalidOperationException">The experiment was opened without images.</exception>
    public IImageSource Search => _search ?? throw WithoutImages();

    /// <summary>Images of the final numbers.</summary>
    /// <exception cref="InvalidOperationException">The experiment was opened without images.</exception>
    public IImageSource Validation => _validation ?? throw WithoutImages();

    /// <summary>What the sets held, and what was left out.</summary>
    public IReadOnlyList<DataInventory> Inventories => [.. Sources.Select(source => source.Inventory)];

    private IEnumerable<ImageSetSource> Sources => _sources.Values.Concat(_added);

    /// <summary>Prepares reading for a model.</summary>
    /// <param name="preprocess">How images become its input.</param>
    /// <param name="progress">Told of the sets from now on.</param>
    /// <exception cref="UserException">An image cannot be read, unless bad images are skipped.</exception>
    public void Prepare(PreprocessOptions preprocess, IWorkProgress progress)
    {
        (_preprocessor, _progress) = (new(preprocess), progress);
        if (!_options.WithoutImages)
        {
            _search = Some(_listedSearch, ShapesSplit.Validation, _options.SearchCount);
            _validation = Some(_listedValidation, ShapesSplit.Test, _options.ValidationCount);
        }
    }

    /// <summary>Adds a set that is read once, such as one for retrieval.</summary>
    /// <param name="set">The set. The caller disposes it after its last use.</param>
    /// <exception cref="UserException">An image cannot be read, unless bad images are skipped.</exception>
    public ImageSetSource Add(ImageSet set)
    {
        var source = Read(set, ImageOrder.Class, cacheBytes: 0);
        _added.Add(source);
        return source;
    }

    /// <summary>The images that ranges are calibrated on; labels are not needed.</summary>
    /// <param name="address">The set, as <see cref="ImageSetFormats"/> names it.</param>
    /// <exception cref="UserException">It is missing or damaged.</exception>
    public ImageSetSource Calibration(string address) => Source(Open(address, DataVariable.Calibration, needsLabels: false));

    /// <summary>What identifies the sets that results were made from, by variable, or by their own name.</summary>
    public IReadOnlyDictionary<string, string> Fingerprints()
    {
        var fingerprints = _added.ToDictionary(source => source.Inventory.Source, source => source.Fingerprint);
        if (_validation is not null)
        {
            fingerprints[_options.ValidationVariable?.Name ?? "images"] = _validation.Fingerprint;
        }

        if (_search is not null && _search != _validation)
        {
            fingerprints[DataVariable.TrainSample.Name] = _search.Fingerprint;
        }

        return fingerprints;
    }

    /// <summary>Names the images that were left out.</summary>
    public void TellUnreadable()
    {
        foreach (var source in Sources)
        {
            source.TellUnreadable(_progress);
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var set in _sets.Values)
        {
            set.Dispose();
        }
    }

    private static InvalidOperationException WithoutImages() => new("The experiment was opened without images.");

    private IImageSource Some(ImageSet? listed, ShapesSplit split, int? count) =>
        listed is null
            ? Source(new ShapesImages(ShapesSet.Generate(split, count ?? ShapesSet.DefaultCount(split), _options.ShapesSeed, cancellation: _cancellation)))
            : count is { } most ? new ImageSubset(Source(listed), most) : Source(listed);

    private ImageSet Open(string address, DataVariable? variable, bool needsLabels = true)
    {
        if (!_sets.TryGetValue(address, out var set))
        {
            set = ImageSetFormats.Open(
                address, new(variable, needsLabels, _cancellation) { Progress = _progress, Decoding = _options.Decoding });
            _sets.Add(address, set);
        }

        return set;
    }

    private ImageSetSource Source(ImageSet set)
    {
        if (!_sources.TryGetValue(set, out var source))
        {
            _sources.Add(set, source = Read(set, _options.Order, CropCacheBytes));
        }

        return source;
    }

    private ImageSetSource Read(ImageSet set, ImageOrder order, long cacheBytes)
    {
        set.Inventory.Tell(_progress);
        return new(set, _preprocessor!, order, new() { SkipBadImages = _options.SkipBadImages, CacheBytes = cacheBytes }, _cancellation);
    }
}
