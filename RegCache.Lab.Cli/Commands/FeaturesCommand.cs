using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Reports;
using Spectre.Console;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Features, tokens and logits of images and texts as a file, to compare the kit with another implementation.</summary>
internal sealed class FeaturesCommand : KitCommand
{
    private readonly FeatureOptions _features = new();
    private readonly DataOptions _data = new();
    private readonly ModelOptions _model = new();
    private readonly QuantizerOptions _quantizer = new(NoQuantizer.Usual);
    private readonly PlanOptions _plan = new();
    private readonly ExecutionOption _execution = new();
    private readonly RunOptions _run = new(keepsRuns: false);

    /// <inheritdoc/>
    public override string Path => "features";

    /// <inheritdoc/>
    public override string Description =>
        "Writes features, tokens or logits of images and texts as .npy or .safetensors, to compare with PyTorch; any plan of the image encoder.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _features.AddTo(command);
        _model.AddTo(command);
        _quantizer.AddTo(command);
        _plan.AddTo(command);
        _data.AddTo(command, DataVariable.Calibration);
        _execution.AddTo(command);
        _run.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var wanted = _features.Read(arguments);
        FeatureFile.RequireKnownEnding(wanted.Output);
        var options = ReadOptions(arguments);
        var texts = wanted.ReadTexts();
        using var images = NamedImages.Open(wanted.Images, options.SkipBadImages, options.Decoding, context.Cancellation);
        wanted.RequireSense(images.Count, texts.Count, HasClasses(options), _quantizer.ReadFamily(arguments) is not null);
        images.Inventories.ToList().ForEach(inventory => inventory.Tell(context.Progress));

        using var experiment = Experiment.Open(options, context.Progress, context.Cancellation);
        using var scope = torch.NewDisposeScope();
        var quantizer = Quantizer(arguments);
        var request = _plan.Read(arguments, experiment.ImageTower, quantizer, experiment.Options.Seed);
        var plan = request.Whole(plain => experiment.Calibrator(quantizer!.Value.Bits).Calibrate(plain));
        var reader = new ImageBatchReader(images, new(experiment.Preprocess), new() { SkipBadImages = options.SkipBadImages });
        RequireScores(experiment, wanted, texts.Count, HasClasses(options));
        var needed = wanted.Request with { Features = wanted.Request.Features || wanted.Logits };
        var ofTexts = texts.Count == 0 ? [] : OfTexts(experiment, texts, needed);
        var ofImages = images.Count == 0 ? [] : FeatureExtraction.OfImages(experiment.ImageTower, plan.Plan, reader, needed, experiment.Pass("images"));
        var arrays = FeatureFile.Fitting(wanted.Output, FeatureArrays.Arrange(experiment, wanted, ofImages, ofTexts), context.Progress);

        var bad = reader.Unreadable.ToDictionary(image => image.Index);
        foreach (var image in bad.Values)
        {
            context.Progress.Message($"Left out: {image.Reason}");
        }

        foreach (var index in reader.Truncated)
        {
            context.Progress.Message($"Truncated, used as far as it goes: {images.Name(index)}.");
        }

        if (images.Count > 0 && bad.Count == images.Count)
        {
            throw new UserException($"None of the {images.Count} images can be read; the first: {bad[0].Reason}");
        }

        experiment.TellRemarks();
        string[] names = [.. Enumerable.Range(0, images.Count).Where(index => !bad.ContainsKey(index)).Select(images.Name)];
        var manifest = Manifest(context, experiment, FeatureArrays.Explain(arrays, experiment, wanted.Request), names, texts, request);
        var files = FeatureFile.Write(wanted.Output, arrays, manifest);
        FeatureArrays.Print(context.Console, arrays);
        context.Output.WriteLine($"plan: {request}; rows: {names.Length} images, {texts.Count} texts");
        context.Output.WriteLine($"written: {string.Join(", ", files)}");
        return ExitCode.Success;
    }

    private static bool HasClasses(ExperimentOptions options) => options.Prompts is not null || options.Classifier is not null;

    // A plain ViT classifier has scores of its own. The classifier is made here, so that its mistakes come before the images.
    private static void RequireScores(Experiment experiment, WantedFeatures wanted, int texts, bool hasClasses)
    {
        if (!wanted.Logits || experiment.Confidence.LogitScale is null)
        {
            return;
        }

        if (hasClasses)
        {
            _ = experiment.Classifier;
        }
        else if (texts == 0)
        {
            throw new UserException("Logits need something to score: give texts (--text, --texts), class names (--prompts FILE) or a ready classifier (--classifier FILE).");
        }
    }

    private static IReadOnlyList<NamedArray> OfTexts(Experiment experiment, IReadOnlyList<string> texts, FeatureRequest request)
    {
        var tower = experiment.Clip.Model.Text
            ?? throw new UserException($"{experiment.Options.Model} has no text encoder, so it has no features of texts; leave --text and --texts out.");
        return FeatureExtraction.OfTexts(tower, experiment.Clip.RequireTokenizer(), texts, request, experiment.Pass("texts"));
    }

    private (QuantizerFamily Family, QuantizationBits Bits)? Quantizer(ParseResult arguments) =>
        _quantizer.ReadFamily(arguments) is { } family ? (family, _quantizer.ReadBits(arguments)) : null;

    private ExperimentOptions ReadOptions(ParseResult arguments)
    {
        var locations = _data.Read(arguments);
        var options = _run.Read(arguments, _model.Read(arguments, new()
        {
            WithoutImages = true,
            CalibrationImages = () => locations.Require(DataVariable.Calibration),
        }));
        return _execution.Read(arguments, _quantizer.Read(arguments, options), Quantizer(arguments)?.Bits);
    }

    private static string Execution(Experiment experiment, PlanRequest request) =>
        experiment.Backend is not { } backend ? "tensor operators"
        : request.IsFloat ? "float"
        : backend.Describe() is { } layers ? $"{backend.Mode}: {layers}"
        : $"{backend.Mode}";

    private static FeatureManifest Manifest(
        CommandContext context,
        Experiment experiment,
        IReadOnlyDictionary<string, string> arrays,
        IReadOnlyList<string> images,
        IReadOnlyList<string> texts,
        PlanRequest request) => new(
        arrays,
        images,
        texts,
        arrays.ContainsKey(FeatureArrays.ClassLogits) ? experiment.ClassNames : [],
        experiment.Name,
        experiment.Hash,
        experiment.Model.Config.Describe(),
        experiment.Assumptions,
        $"{experiment.Preprocess}{(experiment.Options.Decoding == DecodingOptions.Default ? "" : $", {experiment.Options.Decoding}")}",
        $"{request}",
        $"{Execution(experiment, request)}, {experiment.Options.Precision}, {experiment.Options.Device}".ToLowerInvariant(),
        experiment.Options.BatchSize,
        context.CommandLine,
        DateTimeOffset.Now,
        KitVersions.Current);
}

/// <summary>The arrays of a file: those that were asked for, logits made from features, and what each of them is.</summary>
internal static class FeatureArrays
{
    public const string ClassLogits = "class_logits";

    private const string ImageFeatures = "image_features";
    private const string TextFeatures = "text_features";
    private const string LogitsPerImage = "logits_per_image";

    /// <summary>Adds logits to what the encoders gave, and leaves features out that only logits needed.</summary>
    /// <exception cref="UserException">Images and texts have features of different widths.</exception>
    public static IReadOnlyList<NamedArray> Arrange(
        Experiment experiment, WantedFeatures wanted, IReadOnlyList<NamedArray> ofImages, IReadOnlyList<NamedArray> ofTexts)
    {
        List<NamedArray> arrays = [.. ofImages, .. ofTexts];
        if (wanted.Logits && Find(ofImages, ImageFeatures) is { } images)
        {
            if (Find(ofTexts, TextFeatures) is { } texts)
            {
                if (images.shape[1] != texts.shape[1])
                {
                    throw new UserException(
                        $"Image features have {images.shape[1]} channels and text features {texts.shape[1]}, so they cannot be compared: the weights have no projection.");
                }

                var (device, type) = experiment.ImageTower.Placement;
                torch.Tensor Placed(torch.Tensor features) => ZeroShotClassifier.Normalize(features).to(type, device);
                arrays.Add(new(LogitsPerImage, experiment.Model.Logits(Placed(images), Placed(texts)).to(torch.ScalarType.Float32).cpu()));
            }

            // The features of a plain ViT classifier are its logits.
            if (experiment.Confidence.LogitScale is null)
            {
                arrays.Add(new(ClassLogits, images));
            }
            else if (experiment.Options is { Prompts: not null } or { Classifier: not null })
            {
                var placed = ZeroShotClassifier.Normalize(images).to(experiment.ImageTower.Placement.Device);
                arrays.Add(new(ClassLogits, experiment.Classifier.Logits(placed).cpu()));
            }
        }

        return [.. arrays.Where(array => wanted.Request.Features || array.Name is not (ImageFeatures or TextFeatures))];
    }

    /// <summary>What each array is, by its name.</summary>
    public static IReadOnlyDictionary<string, string> Explain(IReadOnlyList<NamedArray> arrays, Experiment experiment, FeatureRequest request) =>
        arrays.ToDictionary(array => array.Name, array => Explain(array.Name, experiment, request));

    /// <summary>A line an array, with numbers that are quick to compute elsewhere, too.</summary>
    public static void Print(IAnsiConsole console, IReadOnlyList<NamedArray> arrays)
    {
        var table = new Table().AddColumns("array", "shape", "type");
        foreach (var title in new[] { "min", "max", "norm" })
        {
            table.AddColumn(new TableColumn(title).RightAligned());
        }

        foreach (var (name, values) in arrays)
        {
            using var scope = torch.NewDisposeScope();
            var wide = values.to(torch.ScalarType.Float64);
            table.AddRow(
                Markup.Escape(name),
                Markup.Escape($"[{string.Join(", ", values.shape)}]"),
                values.dtype.ToString().ToLowerInvariant(),
                $"{wide.min().item<double>():g6}",
                $"{wide.max().item<double>():g6}",
                $"{wide.square().sum().sqrt().item<double>():g8}");
        }

        console.Write(table);
    }

    private static torch.Tensor? Find(IReadOnlyList<NamedArray> arrays, string name) => arrays.FirstOrDefault(array => array.Name == name)?.Values;

    private static string Explain(string name, Experiment experiment, FeatureRequest request)
    {
        var length = request.Normalize ? "divided by their lengths" : "not normalised";
        return name.Split('.')[0] switch
        {
            "image_pixels" => "input of the image encoder [N,3,H,W]",
            "image_tokens" => $"stream of tokens [N,n,C], {request.Tokens.ToString().ToLowerInvariant()}",
            "image_positions" => "place of each token in the sequence that entered the encoder [N,n]",
            "image_sizes" => "patches that each token stands for [N,n]",
            ImageFeatures => $"image features [N,E], {length}",
            "text_ids" => "token ids [T,L]",
            "text_tokens" => "stream of tokens of texts [T,L,C]",
            TextFeatures => $"text features [T,E], {length}",
            LogitsPerImage => "images by texts [N,T]: exp(logit_scale) times the similarities, plus the bias where there is one",
            ClassLogits when experiment.Confidence.LogitScale is null => "images by classes [N,K]",
            ClassLogits => $"images by classes [N,K]: {ZeroShotClassifier.LogitScale} times the similarities",
            _ => throw new ArgumentException($"No array is called {name}.", nameof(name)),
        };
    }
}
