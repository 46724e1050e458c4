using System.CommandLine;
using System.Globalization;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The options of <see cref="StudyMergingCommand"/>.</summary>
internal sealed class StudyMergingOptions
{
    private static readonly (string Name, MergingMethod Method)[] Names =
    [
        ("tome", MergingMethod.TokenMerging),
        ("dfe", MergingMethod.DenseFeatureExtractor),
        ("lgtm", MergingMethod.LocalGlobal),
        ("random-merging", MergingMethod.RandomMerging),
        ("random-pruning", MergingMethod.RandomPruning),
        ("attention-pruning", MergingMethod.AttentionPruning),
    ];

    private static readonly RgbValues[] HalfPixels = [RgbValues.All(0.5f), RgbValues.All(0.5f)];

    private readonly Option<string[]> _methods = new("--methods")
    {
        Description = $"Methods, separated by commas: {string.Join(", ", Names.Select(entry => entry.Name))}.",
        HelpName = "LIST",
        DefaultValueFactory = _ => ["tome", "dfe", "lgtm"],
        CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(KnownMethod).ToArray()),
    };

    private readonly Option<int[]> _counts = new("--r")
    {
        Description = "Tokens to merge a block, separated by commas.",
        HelpName = "LIST",
        DefaultValueFactory = _ => [4, 8, 13, 16],
        CustomParser = result => OptionOf.Parse(result, text => text.Split(',').Select(Count).ToArray()),
    };

    private readonly Option<int> _dense = OptionOf.Number("--dense", "Dense blocks of dfe: 2 of 12, 4 of 24.", 2, 0, 4096);

    private readonly Option<int> _localStart = OptionOf.Number("--local-start", "First block of lgtm that merges, inside windows.", 1, 0, 4096);

    private readonly Option<int?> _globalStart = OptionOf.OptionalNumber(
        "--global-start", "First block of lgtm that merges whole images. [default: 7 of 12 blocks, scaled to the model's]", 0, 4096);

    private readonly Option<bool> _unweighted = new("--no-proportional-attention")
    {
        Description = "Attention does not count a token by its size: for off-the-shelf MAE models.",
    };

    private readonly Option<int> _throughputBatch = OptionOf.Number("--throughput-batch", "Images a batch of the throughput measurement.", 64, 1, 65536);

    private readonly Option<int> _throughputRuns = OptionOf.Number("--throughput-runs", "Passes of a measurement; the first quarter warms up.", 40, 4, 100_000);

    private readonly Option<int> _pictures = OptionOf.Number("--pictures", "Images to show with their merged tokens.", 6, 0, 1000);

    private readonly Option<string?> _published = new("--published")
    {
        Description = $"Show the published numbers of a model beside the measured ones: {string.Join(", ", PublishedMerging.Models)}.",
        HelpName = "MODEL",
        CustomParser = result => OptionOf.Parse(result, text => PublishedMerging.Of(text)[0].Model),
    };

    private readonly Option<int?> _heads = OptionOf.OptionalNumber("--heads", "Attention heads of a plain ViT classifier. [default: one for 64 channels]", 1, 4096);

    private readonly Option<RgbValues[]> _pixels = OptionOf.Choice(
        "--pixels",
        "Mean and deviation of a plain ViT classifier's input: half (AugReg, SAM), imagenet (DeiT, MAE, SWAG).",
        HalfPixels,
        ("half", HalfPixels),
        ("imagenet", [PreprocessOptions.ImageNetMean, PreprocessOptions.ImageNetStandardDeviation]));

    private readonly Option<double> _crop = new("--crop")
    {
        Description = "Part of the resized image that a plain ViT classifier sees.",
        HelpName = "RATIO",
        DefaultValueFactory = _ => 0.9,
    };

    public ModelOptions Model { get; } = new();

    public DataOptions Data { get; } = new();

    public RunOptions Run { get; } = new();

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        Data.AddTo(command, DataVariable.ImageNetValidation);
        Model.AddTo(command);
        foreach (var option in new Option[]
        {
            _methods, _counts, _dense, _localStart, _globalStart, _unweighted, _throughputBatch, _throughputRuns, _pictures, _published,
            _heads, _pixels, _crop,
        })
        {
            command.Add(option);
        }

        Run.AddTo(command);
    }

    /// <summary>Opens what they name.</summary>
    public Experiment Open(CommandContext context)
    {
        var arguments = context.Arguments;
        var options = Model.Read(arguments, new()
        {
            ValidationImages = Data.Read(arguments).Require(DataVariable.ImageNetValidation),
            Heads = Heads(arguments),
            VitPreprocess = size => Preprocess(arguments, size),
            DefaultRunDirectory = model => Path.Combine("runs", $"merging_{model}".ToLowerInvariant()),
        });
        return Experiment.Open(Run.Read(arguments, options), context.Progress, context.Cancellation);
    }

    /// <summary>The plain model and every method at every r.</summary>
    public IReadOnlyList<MergingVariant> Variants(ParseResult arguments, int blocks, long seed)
    {
        var methods = arguments.GetRequiredValue(_methods).Distinct().Select(name => (name, Setting(arguments, name, blocks, seed)));
        return MergingVariant.Of(methods, arguments.GetRequiredValue(_counts));
    }

    public ThroughputOptions Throughput(ParseResult arguments) =>
        new() { Batch = arguments.GetValue(_throughputBatch), Runs = arguments.GetValue(_throughputRuns) };

    public int Pictures(ParseResult arguments) => arguments.GetValue(_pictures);

    public IReadOnlyList<PublishedResult> Published(ParseResult arguments) =>
        arguments.GetValue(_published) is { } model ? PublishedMerging.Of(model) : [];

    public int? Heads(ParseResult arguments) => arguments.GetValue(_heads);

    /// <summary>How images become the input of a plain ViT classifier.</summary>
    public PreprocessOptions Preprocess(ParseResult arguments, (int Height, int Width) size)
    {
        var pixels = arguments.GetRequiredValue(_pixels);
        return new(size.Height, size.Width)
        {
            Mean = pixels[0],
            StandardDeviation = pixels[1],
            CropRatio = arguments.GetValue(_crop),
        };
    }

    private MergingConfiguration Setting(ParseResult arguments, string name, int blocks, long seed)
    {
        var method = Names.Single(entry => entry.Name == name).Method;
        return new(method, MergeSchedule.Constant(0))
        {
            LocalStart = method switch
            {
                MergingMethod.DenseFeatureExtractor => arguments.GetValue(_dense),
                MergingMethod.LocalGlobal => arguments.GetValue(_localStart),
                _ => 0,
            },
            GlobalStart = arguments.GetValue(_globalStart) ?? MergingConfiguration.ScaledGlobalStart(blocks),
            ProportionalAttention = !arguments.GetValue(_unweighted),
            Seed = seed,
        };
    }

    private static string KnownMethod(string name) => Names.Any(entry => entry.Name == name.Trim())
        ? name.Trim()
        : throw new UserException($"--methods knows {string.Join(", ", Names.Select(entry => entry.Name))}, not '{name}'");

    private static int Count(string text) =>
        int.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            ? count
            : throw new UserException($"--r must be whole numbers from 0 on, separated by commas, not '{text}'");
}
