using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Encoders;

/// <summary>A CLIP model: a vision tower, and a text tower where the checkpoint has one.</summary>
public sealed class ClipModel : IDisposable
{
    /// <summary>Builds the towers on named tensors (OpenCLIP names) and takes ownership of them.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The named tensors.</param>
    /// <param name="backend">How blocks run where no gradients are wanted; null runs the tensor operators. The weights must then stay as they are.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape or is not finite.</exception>
    public ClipModel(ClipConfig config, WeightTable weights, IBackend? backend = null)
    {
        Config = config;
        Weights = weights;
        Vision = new(config, weights, backend);
        Text = config.Text is null ? null : new(config, weights, backend);
    }

    /// <summary>The architecture.</summary>
    public ClipConfig Config { get; }

    /// <summary>The named tensors, in checkpoint order.</summary>
    public WeightTable Weights { get; }

    /// <summary>The vision tower.</summary>
    public VisionTower Vision { get; }

    /// <summary>The text tower; null in a vision-only checkpoint.</summary>
    public TextTower? Text { get; }

    /// <summary>Logarithm of the learned logit scale, [] or [1]; null when the checkpoint has none.</summary>
    public Tensor? LogitScale => Weights.Contains("logit_scale") ? Weights["logit_scale"] : null;

    /// <summary>
    /// Scaled similarities of image features [B,E] and text features [T,E], both normalised:
    /// <c>exp(logit_scale) I T^T (+ logit_bias)</c> [B,T].
    /// </summary>
    public Tensor Logits(Tensor images, Tensor texts) => TensorScope.Run(() =>
    {
        var scale = LogitScale?.exp() ?? torch.tensor((float)Math.Exp(Config.InitLogitScale));
        var logits = images.matmul(texts.t()) * scale;
        return Weights.Contains("logit_bias") ? logits + Weights["logit_bias"] : logits;
    });

    /// <inheritdoc />
    public void Dispose()
    {
        Vision.Running.Dispose();
        Text?.Running.Dispose();
        Weights.Dispose();
    }
}

/// <summary>How a model is loaded.</summary>
public sealed record ClipLoadOptions
{
    /// <summary>Configuration file or name (ViT-B-16, ...); null: the one beside the weights, else the tensors' shapes.</summary>
    public string? Config { get; init; }

    /// <summary>Tag of the weights ("openai", "laion2b", ...), by which quick GELU is chosen where they need it.</summary>
    public string Pretrained { get; init; } = "local";

    /// <summary>Keep the activation that the configuration names, even where the weights need another.</summary>
    public bool LiteralActivation { get; init; }

    /// <summary>Where the model runs.</summary>
    public torch.Device Device { get; init; } = torch.CPU;

    /// <summary>Number type of the weights; norms stay in float32.</summary>
    public torch.ScalarType Type { get; init; } = torch.ScalarType.Float32;

    /// <summary>How blocks run where no gradients are wanted; null runs the tensor operators, as training must.</summary>
    public IBackend? Backend { get; init; }
}

/// <summary>A CLIP model from disk with everything that belongs to it.</summary>
public sealed class LoadedClip : IDisposable
{
    private readonly ModelFolder _folder;

    private LoadedClip(ModelFolder folder, ClipModel model, string pretrained, PreprocessOptions preprocess, string hash, string differences)
    {
        _folder = folder;
        Model = model;
        Pretrained = pretrained;
        Preprocess = preprocess;
        Hash = hash;
        Differences = differences;
    }

    /// <summary>The model.</summary>
    public ClipModel Model { get; }

    /// <summary>The model's name, for files and tables: its folder's, or its file's.</summary>
    public string Name => Path.GetFileNameWithoutExtension(_folder.Weights) is var file && file is "model" or "open_clip_model" or "pytorch_model" or "open_clip_pytorch_model"
        ? Path.GetFileName(Path.GetFullPath(_folder.Folder))
        : file;

    /// <summary>The folder of the weight file.</summary>
    public string Folder => _folder.Folder;

    /// <summary>Tag of the weights.</summary>
    public string Pretrained { get; }

    /// <summary>How images become input.</summary>
    public PreprocessOptions Preprocess { get; }

    /// <summary>SHA-256 of the weight file, hexadecimal.</summary>
    public string Hash { get; }

    /// <summary>What the file holds beyond the model, as one clause; empty when it fits exactly.</summary>
    public string Differences { get; }

    /// <summary>Loads a model.</summary>
    /// <param name="path">A model folder or a weight file.</param>
    /// <param name="options">Configuration, activation, device and number type; null for the defaults.</param>
    /// <exception cref="UserException">A part is missing or damaged, or the weights do not fit the configuration.</exception>
    public static LoadedClip Load(string path, ClipLoadOptions? options = null)
    {
        options ??= new();
        var folder = ModelFolder.Open(path);
        using var file = WeightFile.Open(folder.Weights);
        var state = StateDictLoader.Load(file);
        var (config, source) = FindConfig(folder, options, file, state);
        config = QuickGeluRule.Apply(config, $"{options.Pretrained} {Path.GetFileName(folder.Weights)}", file.Container, options.LiteralActivation);
        state = StateDictLoader.Fit(state, config);
        var differences = ClipParameters.Compare(state, config);
        if (differences.Missing.Count + differences.WrongShapes.Count > 0)
        {
            throw new UserException(
                $"{folder.Weights} does not fit the configuration ({source}): {differences}; give the one that belongs to these weights (--model-config).");
        }

        using var scope = torch.NewDisposeScope();
        var model = new ClipModel(config, state.ToWeightTable(torch.ScalarType.Float32).Place(options.Device, options.Type), options.Backend);
        return new(
            folder,
            model,
            options.Pretrained,
            folder.LoadPreprocess(config.Vision, File.Exists(options.Config) ? options.Config : null),
            ContentHash.OfFile(folder.Weights),
            differences.ToString());
    }

    /// <summary>The tokenizer beside the weights.</summary>
    /// <exception cref="UserException">There is none; the message says where to get one.</exception>
    public ITokenizer RequireTokenizer()
    {
        var text = Model.Config.Text ?? throw new UserException($"{_folder.Weights} has no text tower, so there is nothing to tokenize for.");
        var words = Path.Combine(_folder.Folder, WordTokenizer.FileName);
        return File.Exists(words) ? WordTokenizer.Load(words, text) : _folder.LoadTokenizer(text);
    }

    /// <inheritdoc />
    public void Dispose() => Model.Dispose();

    private static (ClipConfig Config, string Source) FindConfig(ModelFolder folder, ClipLoadOptions options, WeightFile file, StateDict state)
    {
        var (config, source) = options.Config is { } named && ClipConfigs.Find(named) is { } known ? (known, named)
            : (options.Config ?? folder.Config) is { } path ? (ClipConfigJson.Load(path), path)
            : ClipConfigJson.FromMetadata(file) is { } embedded ? (embedded, "in the weight file")
            : (ClipArchitecture.Infer(state), "inferred from the tensors' shapes");
        return (ClipArchitecture.WithoutAbsentText(config, state), source);
    }
}
