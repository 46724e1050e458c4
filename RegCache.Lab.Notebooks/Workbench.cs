using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.ShapesClip;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Notebooks;

/// <summary>A CLIP model, its zero-shot classifier and labelled images: what an experiment in a notebook starts from.</summary>
public sealed class Workbench : IDisposable
{
    private readonly WorkbenchOptions _options;
    private readonly Dictionary<int, CalibrationImages> _calibration = [];

    private Workbench(
        WorkbenchOptions options, LoadedClip clip, IReadOnlyList<string> classNames, ZeroShotClassifier classifier, IImageSource search, IImageSource test)
    {
        _options = options;
        Clip = clip;
        ClassNames = classNames;
        Classifier = classifier;
        Search = search;
        Test = test;
    }

    /// <summary>The model.</summary>
    public LoadedClip Clip { get; }

    /// <summary>Its float vision tower.</summary>
    public VisionTower Tower => Clip.Model.Vision;

    /// <summary>The names of the classes, in the order of the labels.</summary>
    public IReadOnlyList<string> ClassNames { get; }

    /// <summary>Turns image features into class scores.</summary>
    public ZeroShotClassifier Classifier { get; }

    /// <summary>Images that every choice is made on.</summary>
    public IImageSource Search { get; }

    /// <summary>Images of final numbers, used for no choice.</summary>
    public IImageSource Test { get; }

    /// <summary>Opens a model with its images.</summary>
    /// <exception cref="UserException">The model, the prompts or the images are missing or do not fit each other.</exception>
    public static Workbench Open(WorkbenchOptions options)
    {
        var model = options.Model.Length > 0 ? options.Model : ShapesClipModelFolder.Find();
        var clip = LoadedClip.Load(model, new() { Device = options.Device });
        try
        {
            var prompts = PromptSet.Load(options.Prompts.Length > 0 ? options.Prompts : Path.Combine(clip.Folder, "prompts.json"));
            var classifier = MakeClassifier(clip, prompts);
            var search = Images(options.SearchImages, ShapesSplit.Validation, options.SearchCount, clip, prompts);
            var testFolder = options.TestImages.Length > 0 ? options.TestImages : options.SearchImages;
            var test = Images(testFolder, ShapesSplit.Test, options.TestCount, clip, prompts);
            return new(options, clip, prompts.ClassNames, classifier, search, test);
        }
        catch
        {
            clip.Dispose();
            throw;
        }
    }

    /// <summary>How a pass over images is done.</summary>
    /// <param name="title">What a progress display calls it.</param>
    public EvaluationRun Run(string title) => new(title, _options.BatchSize);

    /// <summary>Indices of search images, from the first to the last, spread over the set.</summary>
    public IReadOnlyList<int> Spread(int count) =>
        [.. Enumerable.Range(0, count).Select(index => (int)((long)index * (Search.Count - 1) / Math.Max(1, count - 1)))];

    /// <summary>The search images of <see cref="Spread"/>.</summary>
    /// <returns>Normalised images [count,3,H,W].</returns>
    public Tensor Some(int count) => Search.Read(Spread(count));

    /// <summary>Search images, spread over the set, as one picture.</summary>
    /// <param name="count">How many.</param>
    /// <param name="columns">How many in a row.</param>
    /// <param name="scale">Pixels of the picture for one of an image.</param>
    public Image<Rgb24> Gallery(int count, int columns = 8, int scale = 1)
    {
        using var images = Some(count);
        var width = Clip.Preprocess.Width;
        var pictures = InputPixels.Of(images, Clip.Preprocess).Select(image => PictureGrid.Enlarge(image, width, scale));
        return PictureGrid.Compose([.. pictures.Chunk(columns)], width * scale);
    }

    /// <summary>Evaluates plans on the test images, all in one pass.</summary>
    /// <returns>One score a plan, in the order of the plans.</returns>
    public IReadOnlyList<PlanScore> Evaluate(params IReadOnlyList<EncoderPlan> plans) =>
        PlanEvaluation.Run(Tower, Classifier, Test, new PlanTree(plans), Run("evaluation"));

    /// <summary>Finds the ranges of a quantizer.</summary>
    /// <param name="baseline">The quantizer's family.</param>
    /// <param name="bits">Bit-widths.</param>
    /// <param name="images">Search images that ranges are calibrated on; the naive quantizer needs none.</param>
    public ICalibrator Calibration(QuantizerFamily baseline, QuantizationBits bits, int images = CalibrationImages.DefaultCount) =>
        baseline.Create(new(Tower, Classifier, bits, _options.BatchSize, () => CalibrationSet(images)));

    /// <summary>What a run of the whole pipeline works on.</summary>
    /// <param name="baseline">The quantizer's family.</param>
    /// <param name="calibrationImages">Images that ranges are calibrated on.</param>
    public RegCacheSubject Subject(QuantizerFamily baseline, int calibrationImages = CalibrationImages.DefaultCount)
    {
        var made = new Dictionary<QuantizationBits, ICalibrator>();
        return new(
            Clip.Name,
            Clip.Pretrained,
            $"{Clip.Hash}-{Clip.Model.Config.QuickGelu}-{_options.Device}",
            Tower,
            Classifier,
            Search,
            Test,
            baseline,
            bits => made.TryGetValue(bits, out var calibration) ? calibration : made[bits] = Calibration(baseline, bits, calibrationImages),
            _options.BatchSize,
            nameof(ActivationScope.Batch).ToLowerInvariant());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var images in _calibration.Values)
        {
            images.Dispose();
        }

        Classifier.Dispose();
        Clip.Dispose();
    }

    private static ZeroShotClassifier MakeClassifier(LoadedClip clip, PromptSet prompts)
    {
        var tokenizer = clip.RequireTokenizer();
        var text = clip.Model.Text!;
        return ZeroShotClassifier.FromPrompts(
            text,
            texts => torch.tensor(tokenizer.EncodeBatch(texts), [texts.Count, tokenizer.ContextLength]).to(text.Placement),
            prompts.ClassNames,
            prompts.Templates);
    }

    private static IImageSource Images(string folder, ShapesSplit split, int count, LoadedClip clip, PromptSet prompts)
    {
        if (folder.Length == 0)
        {
            // Generated pictures have one size; the model decides how they are normalised, the same in all three channels.
            return new ShapesImageSource(
                ShapesSet.Generate(split, count), clip.Preprocess.Mean.Red, clip.Preprocess.StandardDeviation.Red);
        }

        var dataset = ClassFolderDataset.OpenClasses(folder);
        return dataset.ClassNames.Count == prompts.ClassNames.Count
            ? new ImageSubset(new FolderImageSource(dataset, new(clip.Preprocess)), count)
            : throw new UserException(
                $"{folder} holds {dataset.ClassNames.Count} class folders, but the prompts name {prompts.ClassNames.Count} classes; give those that belong together.");
    }

    private CalibrationImages CalibrationSet(int count) => _calibration.TryGetValue(count, out var images)
        ? images
        : _calibration[count] = new(CalibrationImages.Read(Search, count, Tower), $"{Search.Fingerprint}/{count}");
}

/// <summary>What a <see cref="Workbench"/> is opened on.</summary>
public sealed record WorkbenchOptions
{
    /// <summary>A model folder or a weight file; empty for the shipped demo model.</summary>
    public string Model { get; init; } = string.Empty;

    /// <summary>Folder of class folders to choose settings on; empty for the generated <c>shapes</c> set.</summary>
    public string SearchImages { get; init; } = string.Empty;

    /// <summary>Folder of class folders for final numbers; empty for the same as <see cref="SearchImages"/>.</summary>
    public string TestImages { get; init; } = string.Empty;

    /// <summary>Prompt file; empty for <c>prompts.json</c> beside the weights.</summary>
    public string Prompts { get; init; } = string.Empty;

    /// <summary>Most images to choose settings on; they are spread over the classes.</summary>
    public int SearchCount { get; init; } = 384;

    /// <summary>Most images for final numbers.</summary>
    public int TestCount { get; init; } = 960;

    /// <summary>Images in a batch; ranges that are taken from batches depend on it.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Where the model runs.</summary>
    public torch.Device Device { get; init; } = torch.CPU;
}
