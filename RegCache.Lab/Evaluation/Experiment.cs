using System.Diagnostics;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
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
    private readonly IWorkProgress _progress;
    private readonly LoadedClip? _clip;
    private readonly RunDirectory? _directory;
    private readonly ExperimentImages _images;
    private readonly ExperimentClasses _classes;
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
            _owned.Add(_images = new(options, progress, cancellation));
            _classes = new(options, _images);
            SetProcess(options);
            (Model, _clip, Backend, Name, Hash, Preprocess, ModelKey, Assumptions) = OpenedModel.Load(options, progress);
            _owned.Add(Model);
            Assumptions = _images.Assumption is { } assumption ? [.. Assumptions, assumption] : Assumptions;
            _directory = OpenDirectory();
            Assumptions.ToList().ForEach(Progress.Message);
            _images.Prepare(Preprocess, Progress);
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

    /// <summary>Its image tower, of either kind.</summary>
    public IImageTower ImageTower => Model.ImageTower;

    /// <summary>Its image tower as a transformer, in which plans can act.</summary>
    /// <exception cref="UserException">It is a ResNet.</exception>
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
    public IReadOnlyList<string> ClassNames => _classes.Names;

    /// <summary>Turns features into class scores. Made on first use; a run directory keeps one made from prompts.</summary>
    /// <exception cref="UserException">It does not fit the model or the classes, or the model has no text tower.</exception>
    public ZeroShotClassifier Classifier
    {
        get
        {
            if (_classifier is null)
            {
                _owned.Add(_classifier = _classes.MakeClassifier(Model, _clip, Progress, _directory?.PathOf("classifier.safetensors")));
            }

            return _classifier;
        }
    }

    /// <summary>How sure plans are of a class; a vision tower alone has no logit scale, and takes the usual one.</summary>
    public ConfidenceRule Confidence =>
        _clip is null && Options.Classifier is null ? new(null)
        : Model.LogitScale is { } logarithm ? new(Math.Exp(logarithm.to(torch.ScalarType.Float64).cpu().item<double>()))
        : new(ZeroShotClassifier.LogitScale) { IsAssumed = true };

    /// <summary>Images that every choice is made on.</summary>
    /// <exception cref="InvalidOperationException">It was opened without images.</exception>
    public IImageSource Search => _images.Search;

    /// <summary>Images of the final numbers, used for no choice.</summary>
    /// <exception cref="InvalidOperationException">It was opened without images.</exception>
    public IImageSource Validation => _images.Validation;

    /// <summary>Fingerprints of the images that results come from, by their names.</summary>
    public IReadOnlyDictionary<string, string> Data => _images.Fingerprints();

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
    public EvaluationRun Pass(string title) => new(title, Options.BatchSize) { Progress = Progress, Cancellation = Cancellation, Processes = Processes.Current };

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
        PlanEvaluation.Run(ImageTower, Classifier, Validation, new(plans), Pass("evaluation"));

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
                new StoredCalibrator(remembered, _directory.PathOf("calibration"), Tower, ModelKey, Progress, _directory.Force, Processes.Current));
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
    public ImageSetSource Add(ImageSet set) => _images.Add(set);

    /// <summary>Names the images that were left out, and says how many layers ran in integers where any should have.</summary>
    public void TellRemarks()
    {
        _images.TellUnreadable();
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
                Inventory = _images.Inventories,
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
        else if (Processes.Launched > 1)
        {
            torch.set_num_threads(Processes.Cores);
        }

        torch.manual_seed(options.Seed);
    }

    // A lesson's parameters are never null.
    private static string? Given(string? text) => string.IsNullOrEmpty(text) ? null : text;

    private RunDirectory? OpenDirectory()
    {
        var place = Path.GetFullPath(Options.Model ?? ModelFolder.FindDemo());
        var path = Options.RunDirectory
            ?? (Options.DefaultRunDirectory is { } usual ? RunDirectory.Claim(usual(Name), _clip?.Location ?? place, _progress) : null);
        return path is null ? null : RunDirectory.Open(path, Options.Force, _progress);
    }

    private CalibrationImages ImagesToCalibrateOn()
    {
        if (_calibrationImages is null)
        {
            var source = Options.CalibrationImages is { } place ? _images.Calibration(place()) : Search;
            _calibrationImages = new(CalibrationImages.Read(source, Options.QuantizerValues.Get(CalibrationImages.CountOption), Tower), source.Fingerprint)
            {
                Memory = Options.QuantizerValues.Get(CalibrationImages.MemoryOption),
                Progress = Progress,
                Cancellation = Cancellation,
                Processes = Processes.Current,
            };
            _owned.Add(_calibrationImages);
        }

        return _calibrationImages;
    }
}
