using System.Text.Json;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Memory;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Encoders;

/// <summary>The image encoder of a CLIP model: a <see cref="VisionTower"/>, in which plans can act, or a tower without seams such as a <see cref="ModifiedResNet"/>.</summary>
public interface IImageTower : IDisposable
{
    /// <summary>The tower's architecture.</summary>
    VisionConfig Config { get; }

    /// <summary>Channels E of an image feature.</summary>
    int Features { get; }

    /// <summary>Blocks that plans can act in; 0 for a ResNet, which has the plain plan alone.</summary>
    int PlannedBlocks { get; }

    /// <summary>What refuses to act in a tower without blocks for plans.</summary>
    UserException NoPlans => new("The model's image encoder has no blocks that plans can act in: run it as it is.");

    /// <summary>The tower as a transformer in which plans act.</summary>
    /// <exception cref="UserException">It is none.</exception>
    VisionTower RequireBlocks() => this as VisionTower ?? throw NoPlans;

    /// <summary>Device and number type that images must have.</summary>
    (torch.Device Device, torch.ScalarType Type) Placement { get; }

    /// <summary>Encodes normalised images [B,3,H,W] as trained, to features [B,E] that are not normalised.</summary>
    /// <exception cref="UserException">The images are not of the size that the model takes.</exception>
    Tensor Encode(Tensor images);
}

/// <summary>A CLIP model: an image tower, and a text tower where the checkpoint has one.</summary>
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
        ImageTower = config.Vision switch
        {
            { Stages: not null } => new ModifiedResNet(config, weights),
            { Pooling: { } pooling } => pooling.Entry.Build(config, weights, backend),
            _ => new VisionTower(config, weights, backend),
        };
        Text = config.Text is null ? null : new(config, weights, backend);
    }

    /// <summary>A vision tower as a model.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The named tensors that the tower computes with, whatever they are called.</param>
    /// <param name="vision">The tower.</param>
    internal ClipModel(ClipConfig config, WeightTable weights, VisionTower vision) => (Config, Weights, ImageTower) = (config, weights, vision);

    /// <summary>The architecture.</summary>
    public ClipConfig Config { get; }

    /// <summary>The named tensors, in checkpoint order.</summary>
    public WeightTable Weights { get; }

    /// <summary>The image tower, of either kind.</summary>
    public IImageTower ImageTower { get; }

    /// <summary>The image tower as a transformer in which plans act.</summary>
    /// <exception cref="UserException">It is none.</exception>
    public VisionTower Vision => ImageTower.RequireBlocks();

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
        ImageTower.Dispose();
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

    /// <summary>Attention heads of the vision tower, where no configuration tells them; null: as published models of its shapes have.</summary>
    public int? Heads { get; init; }

    /// <summary>Where the model's tensors are in a checkpoint of several models, such as "model_ema"; null: wherever the only model is.</summary>
    public string? WeightsKey { get; init; }

    /// <summary>Keep the activation that the configuration names, even where the weights need another.</summary>
    public bool LiteralActivation { get; init; }

    /// <summary>A model whose text tower, logit scale and tokenizer are taken where the weights have none of their own; null: none is.</summary>
    public BaseModel? Base { get; init; }

    /// <summary>Where the model runs.</summary>
    public torch.Device Device { get; init; } = torch.CPU;

    /// <summary>Number type of the weights; norms stay in float32.</summary>
    public torch.ScalarType Type { get; init; } = torch.ScalarType.Float32;

    /// <summary>How blocks run where no gradients are wanted; null runs the tensor operators, as training must.</summary>
    public IBackend? Backend { get; init; }
}

/// <summary>The model that another one was made from, for what that one's files lack.</summary>
/// <param name="Path">A model folder or a weight file.</param>
/// <param name="WeightsKey">Where the model's tensors are in a checkpoint of several models; null: wherever the only model is.</param>
public sealed record BaseModel(string Path, string? WeightsKey = null);

/// <summary>A CLIP model from disk with everything that belongs to it.</summary>
public sealed class LoadedClip : IDisposable
{
    private readonly ModelFolder _folder;
    private ModelFolder? _base;
    private string? _weightsKey;

    private LoadedClip(ModelFolder folder, ClipModel model) => (_folder, Model) = (folder, model);

    /// <summary>The model.</summary>
    public ClipModel Model { get; }

    /// <summary>The model's name, for files and tables: its folder's, or its file's.</summary>
    public string Name => _folder.Name;

    /// <summary>The folder of the weight file.</summary>
    public string Folder => _folder.Folder;

    /// <summary>The full path of the weight file, or of the index of its shards.</summary>
    public string Location => Path.GetFullPath(_folder.Weights);

    /// <summary>Tag of the weights.</summary>
    public string Pretrained { get; private init; } = "";

    /// <summary>How images become input.</summary>
    public required PreprocessOptions Preprocess { get; init; }

    /// <summary>SHA-256 of the weight file, hexadecimal; of shards that of all of them one after the other.</summary>
    public required string Hash { get; init; }

    /// <summary>What results of the model depend on: the weights, the architecture and how images are prepared.</summary>
    public string Identity => $"{Hash}-{ContentHash.OfValue(new { architecture = Model.Config.ToString(), preprocess = Preprocess.ToString(), _weightsKey })}";

    /// <summary>What the file holds beyond the model, as one clause; empty when it fits exactly.</summary>
    public required string Differences { get; init; }

    /// <summary>What neither the weights nor a configuration told and was assumed, one sentence each; to be shown, and kept with results.</summary>
    public IReadOnlyList<string> Assumptions { get; private init; } = [];

    /// <summary>Loads a model.</summary>
    /// <param name="path">A model folder or a weight file.</param>
    /// <param name="options">Configuration, activation, device and number type; null for the defaults.</param>
    /// <exception cref="UserException">A part is missing or damaged, or the weights do not fit the configuration.</exception>
    public static LoadedClip Load(string path, ClipLoadOptions? options = null)
    {
        options ??= new();
        var folder = ModelFolder.Open(path);
        using var file = WeightFile.Open(folder.Weights);
        var own = StateDictLoader.Load(file, options.WeightsKey);
        var assumptions = new List<string>();
        var other = options.Base is { } named ? ModelFolder.Open(named.Path) : null;
        using var otherFile = other is null ? null : WeightFile.Open(other.Weights);
        var state = otherFile is null ? own : StateDictLoader.WithTextOf(own, StateDictLoader.Load(otherFile, options.Base!.WeightsKey), assumptions);
        var isCompleted = state != own;
        var found = FoundConfig.Find(folder, options, file, state, assumptions);
        var origin = new WeightOrigin(
            options.Pretrained,
            Path.GetFileName(folder.Weights),
            file.Container == WeightContainer.TorchScript || file.Tensors.Any(entry => entry.Name.EndsWith(WeightOrigin.OpenAiBuffer, StringComparison.Ordinal)));
        var config = QuickGeluRule.Apply(found.Config, found.Activation, origin, options.LiteralActivation, assumptions);
        state = StateDictLoader.Fit(state, config);
        var differences = ClipParameters.Compare(state, config);
        if (differences.Missing.Count + differences.WrongShapes.Count > 0)
        {
            // One of another type than a tensor is told by its name.
            _ = differences.Missing.Where(state.Unreadable.ContainsKey).Select(name => state[name]).FirstOrDefault();
            throw new UserException(
                $"{folder.Weights} does not fit the configuration ({found.Source}): {differences}; give the one that belongs to these weights (--model-config).");
        }

        if (!config.Vision.HasProjection)
        {
            assumptions.Add($"The weights have no projection: image features are the {config.EmbedDim} pooled channels, which no text feature is comparable with.");
        }

        using var scope = torch.NewDisposeScope();
        var model = new ClipModel(config, state.ToWeightTable(torch.ScalarType.Float32).Place(options.Device, options.Type), options.Backend);
        return new(folder, model)
        {
            _base = other,
            _weightsKey = options.WeightsKey,
            Pretrained = options.Pretrained,
            Preprocess = folder.LoadPreprocess(config.Vision, found.File, found.IsResized),
            Hash = ContentHash.OfFiles([.. WeightShards.FilesOf(folder.Weights), .. isCompleted ? WeightShards.FilesOf(other!.Weights) : []]),
            Differences = differences.ToString(),
            Assumptions = assumptions,
        };
    }

    /// <summary>The tokenizer beside the weights, or beside those of the base model.</summary>
    /// <exception cref="UserException">There is none; the message says where to get one.</exception>
    public ITokenizer RequireTokenizer()
    {
        var text = Model.Config.Text ?? throw new UserException($"{_folder.Weights} has no text tower, so there is nothing to tokenize for.");
        static string WordsOf(ModelFolder folder) => Path.Combine(folder.Folder, WordTokenizer.FileName);
        static bool HasOne(ModelFolder folder) => File.Exists(WordsOf(folder)) || folder.VocabularyFile is not null;
        var folder = _base is { } other && !HasOne(_folder) ? other : _folder;
        return File.Exists(WordsOf(folder)) ? WordTokenizer.Load(WordsOf(folder), text) : folder.LoadTokenizer(text);
    }

    /// <inheritdoc />
    public void Dispose() => Model.Dispose();

    /// <summary>The configuration of a model and where it was found.</summary>
    /// <param name="Config">The configuration, without the parts that the weights lack.</param>
    /// <param name="Source">Where it was found, for messages.</param>
    /// <param name="Activation">What its activation is worth.</param>
    /// <param name="File">The configuration file that also tells how images are prepared; null for none.</param>
    /// <param name="IsResized">Whether the files beside the weights are for another configuration.</param>
    private sealed record FoundConfig(ClipConfig Config, string Source, ActivationOrigin Activation, (JsonElement Json, string Path)? File = null, bool IsResized = false)
    {
        public static FoundConfig Find(ModelFolder folder, ClipLoadOptions options, WeightFile file, StateDict state, List<string> assumptions)
        {
            if (options.Config is { } name && ClipConfigs.Find(name) is { } known)
            {
                return Of(known, name, known.QuickGelu ? ActivationOrigin.Said : ActivationOrigin.Default) with { File = Beside(), IsResized = true };
            }

            if ((options.Config ?? folder.Config) is { } path)
            {
                var json = JsonFields.ReadFile(path);
                var saysHow = options.Config is null || new JsonFields(json, path).Get(ModelFolder.PreprocessField) is not null;
                return Of(ClipConfigJson.Parse(json, path), path, Said(json)) with { File = saysHow ? (json, path) : Beside(), IsResized = options.Config is not null };
            }

            return ClipConfigJson.FromMetadata(file) is { } embedded
                ? Of(ClipConfigJson.Parse(embedded.Json, embedded.Source), "in the weight file", Said(embedded.Json))
                : Of(ClipArchitecture.Infer(state, options.Heads, assumptions), "inferred from the tensors' shapes", ActivationOrigin.Unknown);

            // What the folder's own configuration says about images still holds where the given one says nothing.
            (JsonElement Json, string Path)? Beside() => folder.Config is { } own ? (JsonFields.ReadFile(own), own) : null;

            FoundConfig Of(ClipConfig config, string source, ActivationOrigin activation)
            {
                if (options.Heads is { } heads && heads != config.Vision.Heads)
                {
                    throw new UserException($"The configuration ({source}) says {config.Vision.Heads} heads, not {heads}; leave out --heads or give another --model-config.");
                }

                var present = MemoryCheckpoint.Complete(ClipArchitecture.WithoutAbsentParts(config, state), state, assumptions);
                if (config.Text is not null && present.Text is null)
                {
                    assumptions.Add($"The weights have no text tower, although the configuration ({source}) describes one: the model encodes images alone.");
                }

                return new(present, source, activation);
            }
        }

        private static ActivationOrigin Said(JsonElement json) => ClipConfigJson.NamesActivation(json) ? ActivationOrigin.Said : ActivationOrigin.Default;
    }
}
