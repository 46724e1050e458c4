using System.Diagnostics;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Quantization.Storage;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// An opened model with its classifier, images and quantizers, and the folder of its results where one is wanted: what every
/// command, lesson and script starts from. It owns all of them. The classifier and calibrations are made when they are first
/// asked for.
/// </summary>
public sealed class Experiment : IDisposable
{
    // A search reads its images several times; what fits is decoded once.
    private const long CropCacheBytes = 2L << 30;

    private readonly IWorkProgress _progress;
    private readonly LoadedClip? _clip;
    private readonly RunDirectory? _directory;
    private readonly PromptSet? _prompts;
    private readonly IImageSource? _search;
    private readonly IImageSource? _validation;
    private readonly int? _classes;
    private readonly string _classesInWords;
    private readonly Dictionary<string, ImageSetSource> _sources = [];
    private readonly Dictionary<string, ImageSetSource> _added = [];
    private readonly Dictionary<(QuantizerFamily Family, QuantizationBits Bits), ICalibrator> _calibrators = [];
    private readonly Dictionary<(QuantizerFamily Family, QuantizationBits Bits), ICalibrator> _stored = [];
    private readonly List<IDisposable> _owned = [];
    private ZeroShotClassifier? _classifier;
    private CalibrationImages? _calibrationImages;

    private Experiment(ExperimentOptions options, IWorkProgress progress, CancellationToken cancellation)
    {
        Options = options = options with
        {
            Model = Given(options.Model),
            Prompts = Given(options.Prompts),
            SearchImages = Given(options.SearchImages),
            ValidationImages = Given(options.ValidationImages),
        };
        (_progress, Cancellation) = (progress, cancellation);
        try
        {
            // Sets are listed before the model is loaded, for that takes longer.
            var validation = options.ValidationImages is { } last ? Open(last, DataVariable.ImageNetValidation) : null;
            var search = options.SearchImages is { } first ? Open(first, DataVariable.TrainSample) : validation;
            var sameClasses = validation is null ? null : search?.RequireClasses(validation.ClassNames);

            validation ??= search;
            var names = options.WithoutImages ? [] : validation?.ClassNames ?? ShapesVocabulary.Classes;
            _classes = options.WithoutImages ? null : names.Count;
            _classesInWords = validation?.ClassesInWords ?? $"{names.Count} classes";
            _prompts = options.Classifier is not null || (options.WithoutImages && options.Prompts is null) ? null
                : Prompts(options.Prompts, names, validation);
            ClassNames = _prompts?.ClassNames ?? names;

            SetProcess(options);
            (Model, _clip, Backend, Name, Hash, Preprocess, ModelKey, Assumptions) = OpenedModel.Load(options, progress);
            _owned.Add(Model);
            Assumptions = sameClasses is null ? Assumptions : [.. Assumptions, sameClasses];
            _directory = OpenDirectory();
            Assumptions.ToList().ForEach(Progress.Message);
            if (options.WithoutImages)
            {
                return;
            }

            _search = search is null
                ? Shapes(ShapesSplit.Validation, options.SearchCount)
                : Some(Source(options.SearchImages ?? options.ValidationImages!, search), options.SearchCount);
            _validation = validation is null
                ? Shapes(ShapesSplit.Test, options.ValidationCount)
                : Some(Source(options.ValidationImages ?? options.SearchImages!, validation), options.ValidationCount);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What it was opened with.</summary>
    public ExperimentOptions Options { get; }

    /// <summary>The model.</summary>
    public ClipModel Model { get; }

    /// <summary>Its vision tower.</summary>
    public VisionTower Tower => Model.Vision;

    /// <summary>The CLIP model with the files beside its weights.</summary>
    /// <exception cref="UserException">The model is a plain ViT classifier.</exception>
    public LoadedClip Clip => _clip ?? throw new UserException($"{Options.Model} is a plain ViT classifier; this needs a CLIP model.");

    /// <summary>The model's name, for files and tables.</summary>
    public string Name { get; }

    /// <summary>SHA-256 of the weight file.</summary>
    public string Hash { get; }

    /// <summary>Identifies weights, architecture, preprocessing, precision and device, for stage keys.</summary>
    public string ModelKey { get; }

    /// <summary>What neither the weights nor a configuration told and was assumed, one sentence each.</summary>
    public IReadOnlyList<string> Assumptions { get; }

    /// <summary>How the layers run; null: by tensor operators.</summary>
    public OneDnnBackend? Backend { get; }

    /// <summary>How images become input.</summary>
    public PreprocessOptions Preprocess { get; }

    /// <summary>The names of the classes, in the order of the labels.</summary>
    public IReadOnlyList<string> ClassNames { get; }

    /// <summary>Turns features into class scores. Made on first use; a run directory keeps one made from prompts.</summary>
    /// <exception cref="UserException">It does not fit the model or the classes, or the model has no text tower.</exception>
    public ZeroShotClassifier Classifier => _classifier ??= MakeClassifier();

    /// <summary>How sure plans are of a class; a vision tower alone has no logit scale, and takes the usual one.</summary>
    public ConfidenceRule Confidence =>
        _clip is null && Options.Classifier is null ? new(null)
        : Model.LogitScale is { } logarithm ? new(Math.Exp(logarithm.to(torch.ScalarType.Float64).cpu().item<double>()))
        : new(ZeroShotClassifier.LogitScale) { IsAssumed = true };

    /// <summary>Images that every choice is made on.</summary>
    /// <exception cref="InvalidOperationException">It was opened without images.</exception>
    public IImageSource Search => _search ?? throw WithoutImages();

    /// <summary>Images of the final numbers, used for no choice.</summary>
    /// <exception cref="InvalidOperationException">It was opened without images.</exception>
    public IImageSource Validation => _validation ?? throw WithoutImages();

    /// <summary>Fingerprints of the images that results come from, by their names.</summary>
    public IReadOnlyDictionary<string, string> Data
    {
        get
        {
            var data = _added.ToDictionary(set => set.Key, set => set.Value.Fingerprint);
            if (_validation is not null)
            {
                data[DataVariable.ImageNetValidation.Name] = Validation.Fingerprint;
            }

            if (_search is not null && Search != Validation)
            {
                data[DataVariable.TrainSample.Name] = Search.Fingerprint;
            }

            return data;
        }
    }

    /// <summary>The folder of the results.</summary>
    /// <exception cref="InvalidOperationException">The options name none.</exception>
    public RunDirectory Directory => _directory ?? throw new InvalidOperationException("The experiment was opened without a run directory.");

    /// <summary>Told what is done; the run directory's log is told, too.</summary>
    public IWorkProgress Progress => _directory?.Progress ?? _progress;

    /// <summary>Stops everything at its next batch.</summary>
    public CancellationToken Cancellation { get; }

    /// <summary>Opens a model with its images.</summary>
    /// <param name="options">What to open, and how it runs.</param>
    /// <param name="progress">Told what is done; null: nobody is.</param>
    /// <param name="cancellation">Stops everything that the experiment does at the next batch.</param>
    /// <exception cref="UserException">The model, the prompts or the images are missing or do not fit each other.</exception>
    public static Experiment Open(ExperimentOptions options, IWorkProgress? progress = null, CancellationToken cancellation = default) =>
        new(options, progress ?? SilentProgress.Instance, cancellation);

    /// <summary>How a pass over images is done.</summary>
    /// <param name="title">What a progress display calls it.</param>
    public EvaluationRun Pass(string title) => new(title, Options.BatchSize) { Progress = Progress, Cancellation = Cancellation };

    /// <summary>
    /// The result of a pass over images that the run directory keeps: loaded when it is there with the same key, else computed
    /// and saved. A pass that was killed goes on from its checkpoint.
    /// </summary>
    /// <param name="stage">The stage's name, a plain file name.</param>
    /// <param name="key">What the result is made from.</param>
    /// <param name="title">What a progress display calls the pass.</param>
    /// <param name="compute">Does the pass.</param>
    public T Stage<T>(string stage, StageKey key, string title, Func<EvaluationRun, T> compute)
        where T : notnull =>
        Directory.Stages.GetOrCompute(
            stage, key, () => compute(Pass(title) with { Checkpoint = Directory.Stages.Checkpoint<PassState>(stage, key, Options.CheckpointInterval) }));

    /// <summary>Evaluates plans on the validation images, all in one pass.</summary>
    /// <returns>One score a plan, in the order of the plans.</returns>
    public IReadOnlyList<PlanScore> Evaluate(params IReadOnlyList<EncoderPlan> plans) =>
        PlanEvaluation.Run(Tower, Classifier, Validation, new(plans), Pass("evaluation"));

    /// <summary>
    /// Finds the ranges of the experiment's quantizer. The same object every time; what it has found once it knows, and where
    /// there is a run directory, later runs know it, too.
    /// </summary>
    /// <exception cref="UserException">The calibration images are missing or too few, or an option is out of range.</exception>
    public ICalibrator Calibrator(QuantizationBits bits) => Calibrator(Options.Quantizer, bits);

    /// <summary>The same of any family of quantizers.</summary>
    public ICalibrator Calibrator(QuantizerFamily family, QuantizationBits bits)
    {
        var remembered = CalibratorInMemory(family, bits);
        if (_directory is null)
        {
            return remembered;
        }

        // What was loaded from a file is remembered, too, so that plans made from it share their computation.
        if (!_stored.TryGetValue((family, bits), out var stored))
        {
            stored = new RememberedCalibrator(
                new StoredCalibrator(remembered, _directory.PathOf("calibration"), Tower, ModelKey, Progress, _directory.Force));
            _stored.Add((family, bits), stored);
        }

        return stored;
    }

    /// <summary>The same without files: faster where there are many calibrations that share what they have in common.</summary>
    public ICalibrator CalibratorInMemory(QuantizerFamily family, QuantizationBits bits)
    {
        if (!_calibrators.TryGetValue((family, bits), out var calibrator))
        {
            var made = family.Create(new(Tower, () => Classifier, bits, Options.BatchSize, ImagesToCalibrateOn) { Values = Options.QuantizerValues });
            if (made is IDisposable disposable)
            {
                _owned.Add(disposable);
            }

            _calibrators.Add((family, bits), calibrator = new RememberedCalibrator(made));
        }

        return calibrator;
    }

    /// <summary>Adds a set that is read once, such as one for retrieval; remarks and result files tell of it, too.</summary>
    /// <param name="set">The set. The caller disposes it after the experiment's last use of it.</param>
    /// <exception cref="UserException">An image cannot be read, unless bad images are skipped.</exception>
    public ImageSetSource Add(ImageSet set)
    {
        set.Inventory.Tell(Progress);
        var source = Read(set, ImageOrder.Class, cacheBytes: 0);
        _sources[set.Inventory.Source] = _added[set.Inventory.Source] = source;
        return source;
    }

    /// <summary>Names the images that were left out, and says how many layers ran in integers where any should have.</summary>
    public void TellRemarks()
    {
        foreach (var source in _sources.Values)
        {
            source.TellUnreadable(Progress);
        }

        if (Backend is { Mode: ExecutionMode.Integer } && Backend.Describe() is { } description)
        {
            Progress.Message($"{description}.");
        }
    }

    /// <summary>Writes <c>result.json</c>.</summary>
    /// <param name="commandLine">What was asked for.</param>
    /// <param name="plan">What was run, as text.</param>
    /// <param name="result">The result.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void WriteResult<T>(string commandLine, string plan, T result)
        where T : notnull
    {
        var execution = Backend is null ? "execution by tensor operators"
            : $"execution {Backend.Mode.ToString().ToLowerInvariant()}{(Backend.Describe() is { } layers ? $": {layers}" : "")}";
        Directory.WriteResult(
            new Provenance(
                DateTimeOffset.Now,
                commandLine,
                Options.Seed,
                $"{plan}; batch {Options.BatchSize}; {execution}",
                new Dictionary<string, string> { [Name] = Hash },
                Data,
                KitVersions.Current)
            {
                Architecture = Model.Config.Describe(),
                Assumptions = Assumptions,
                Inventory = [.. _sources.Values.Select(source => source.Inventory)],
            },
            result);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _directory?.Dispose();
        _owned.AsEnumerable().Reverse().ToList().ForEach(one => one.Dispose());
    }

    private static void SetProcess(ExperimentOptions options)
    {
        if (options.Threads is { } threads)
        {
            torch.set_num_threads(threads);
        }

        torch.manual_seed(options.Seed);
    }

    private static PromptSet Prompts(string? path, IReadOnlyList<string> names, ImageSet? set)
    {
        var templates = set is null ? ShapesVocabulary.Templates : set.Templates.Count > 0 ? set.Templates : PromptSet.DefaultTemplates;
        if (path is null)
        {
            return new() { ClassNames = names, Templates = templates };
        }

        // A file may hold templates alone.
        var prompts = PromptSet.Load(path);
        return prompts.ClassNames.Count > 0 ? prompts
            : names.Count > 0 ? prompts with { ClassNames = names }
            : throw new UserException($"{path} has no `classnames`, and there are no images to name classes after; add them.");
    }

    private static InvalidOperationException WithoutImages() => new("The experiment was opened without images.");

    // A lesson's parameters are never null.
    private static string? Given(string? text) => string.IsNullOrEmpty(text) ? null : text;

    private static IImageSource Some(IImageSource source, int? count) => count is { } most ? new ImageSubset(source, most) : source;

    private RunDirectory? OpenDirectory()
    {
        var place = Path.GetFullPath(Options.Model ?? ModelFolder.FindDemo());
        var path = Options.RunDirectory
            ?? (Options.DefaultRunDirectory is { } usual ? RunDirectory.Claim(usual(Name), _clip?.Location ?? place, _progress) : null);
        return path is null ? null : RunDirectory.Open(path, Options.Force, _progress);
    }

    private ImageSet Open(string address, DataVariable variable, bool needsLabels = true)
    {
        var set = ImageSetFormats.Open(address, new(variable, needsLabels, Cancellation) { Progress = Progress, Decoding = Options.Decoding });
        _owned.Add(set);
        return set;
    }

    private ImageSetSource Shapes(ShapesSplit split, int? count) => Source(
        $"{split}",
        new ShapesImages(ShapesSet.Generate(split, count ?? ShapesSet.DefaultCount(split), Options.ShapesSeed, cancellation: Cancellation)));

    private ImageSetSource Source(string address, ImageSet set)
    {
        if (!_sources.TryGetValue(address, out var source))
        {
            set.Inventory.Tell(Progress);
            source = Read(set, Options.Order, CropCacheBytes);
            _sources.Add(address, source);
        }

        return source;
    }

    private ImageSetSource Read(ImageSet set, ImageOrder order, long cacheBytes) =>
        new(set, new(Preprocess), order, new() { SkipBadImages = Options.SkipBadImages, CacheBytes = cacheBytes }, Cancellation);

    private ZeroShotClassifier MakeClassifier()
    {
        var classifier = Options.Classifier is { } path ? LoadClassifier(path)
            : _clip is null ? ClassifierOfLogits()
            : _prompts is not null ? ClassifierFromPrompts(_clip, _prompts)
            : throw new UserException("There are no classes to score: give class names (--prompts FILE) or a ready classifier (--classifier FILE).");
        _owned.Add(classifier);
        return classifier;
    }

    // The features of a plain ViT classifier are the logits already.
    private ZeroShotClassifier ClassifierOfLogits()
    {
        RequireClasses(Model.Config.EmbedDim, Options.Model);
        return new(torch.eye(Model.Config.EmbedDim, device: Tower.Placement.Device));
    }

    private ZeroShotClassifier LoadClassifier(string path)
    {
        var classifier = ZeroShotClassifier.Load(path, Model.Config.EmbedDim, Tower.Placement.Device);
        RequireClasses(classifier.Classes, path);
        return classifier;
    }

    private ZeroShotClassifier ClassifierFromPrompts(LoadedClip clip, PromptSet prompts)
    {
        RequireClasses(prompts.ClassNames.Count, Options.Prompts);
        var text = clip.Model.Text
            ?? throw new UserException("The model has no text tower to embed class names with; give a ready classifier (--classifier FILE).");
        var tokenizer = clip.RequireTokenizer();
        if (Options.Prompts is null && _sources.Values.Select(source => source.ClassesCalledAfter).FirstOrDefault(after => after is not null) is { } things)
        {
            Progress.Message($"Classes are named after {things} (--prompts FILE gives names and templates).");
        }

        using var progress = Progress.Start("zero-shot classifier", prompts.ClassNames.Count, "classes");
        var classifier = ZeroShotClassifier.FromPrompts(
            text,
            texts => torch.tensor(tokenizer.EncodeBatch(texts), [texts.Count, tokenizer.ContextLength]).to(text.Placement),
            prompts.ClassNames,
            prompts.Templates,
            done => progress.Report(done));
        if (_directory is not null)
        {
            classifier.Save(_directory.PathOf("classifier.safetensors"));
        }

        return classifier;
    }

    private void RequireClasses(int classes, string? source)
    {
        if (_classes is not null && classes != _classes)
        {
            throw new UserException(
                $"There are {_classesInWords}, but {source} has {classes} classes; use the one that belongs to these images.");
        }
    }

    private ImageSetSource Calibration(string address) =>
        _sources.TryGetValue(address, out var known) ? known : Source(address, Open(address, DataVariable.Calibration, needsLabels: false));

    private CalibrationImages ImagesToCalibrateOn()
    {
        if (_calibrationImages is null)
        {
            var source = Options.CalibrationImages is { } place ? Calibration(place()) : Search;
            _calibrationImages = new(CalibrationImages.Read(source, Options.QuantizerValues.Get(CalibrationImages.CountOption), Tower), source.Fingerprint)
            {
                Memory = Options.QuantizerValues.Get(CalibrationImages.MemoryOption),
                Progress = Progress,
                Cancellation = Cancellation,
            };
            _owned.Add(_calibrationImages);
        }

        return _calibrationImages;
    }
}
