namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>What the tensors of a plain ViT classifier do not tell.</summary>
public sealed record VitClassifierOptions
{
    /// <summary>Attention heads; null: as published models of these shapes have.</summary>
    public int? Heads { get; init; }

    /// <summary>Where the model's tensors are in a checkpoint of several models, such as "state_dict_ema"; null: wherever the only model is.</summary>
    public string? WeightsKey { get; init; }

    /// <summary>Receives what was assumed about the model, one sentence each; null for nobody.</summary>
    public ICollection<string>? Assumptions { get; init; }

    /// <summary>Input size in pixels; null: the square that the position table is for.</summary>
    public (int Height, int Width)? ImageSize { get; init; }

    /// <summary>The epsilon of every LayerNorm.</summary>
    public double Epsilon { get; init; } = 1e-6;

    /// <summary>Where the model computes.</summary>
    public torch.Device Device { get; init; } = torch.CPU;

    /// <summary>The number type of its matrices.</summary>
    public torch.ScalarType Type { get; init; } = torch.ScalarType.Float32;

    /// <summary>How blocks run where no gradients are wanted; null runs the tensor operators.</summary>
    public IBackend? Backend { get; init; }
}

/// <summary>
/// Loads plain ViT classifiers under the names of timm, DeiT and MAE as configurations of the one encoder: the
/// classification head is the tower's projection, so that its image features are the class logits.
/// </summary>
public static class VitClassifierLoader
{
    private const string PatchWeight = "patch_embed.proj.weight";

    // What a training keeps beside the weights; it may lie at the weights' own level where a file has no levels.
    private static readonly string[] _trainingState = ["optimizer.", "lr_scheduler.", "scaler.", "loss_scaler.", "amp_scaler."];

    /// <summary>Loads a checkpoint: safetensors, or PyTorch's forms with or without a dict around the weights.</summary>
    /// <exception cref="UserException">The file cannot be read, or holds another kind of model.</exception>
    public static ClipModel Load(string path, VitClassifierOptions? options = null)
    {
        using var file = WeightFile.Open(path);
        string[] prefixes = [.. file.Tensors.Select(tensor => tensor.Name).Where(IsPatchWeight).Select(name => name[..^PatchWeight.Length])];
        var index = ClipWeights.Choose(path, prefixes, options?.WeightsKey)
            ?? throw new UserException($"{path} has no tensor `{PatchWeight}`; it does not hold a ViT classifier under the names of timm, DeiT or MAE.");
        var prefix = prefixes[index];
        using var scope = torch.NewDisposeScope();
        var state = new StateDict(path, file.Tensors
            .Where(tensor => tensor.Name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(tensor => tensor.Rename(tensor.Name[prefix.Length..]))
            .Where(tensor => !IsTrainingState(tensor.Name)));
        return FromTensors(
            path, state.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.ToTensor(torch.ScalarType.Float32)), options);
    }

    /// <summary>Whether a file holds such a classifier.</summary>
    /// <exception cref="UserException">The file cannot be read.</exception>
    public static bool Recognises(string path)
    {
        using var file = WeightFile.Open(path);
        return file.Tensors.Any(tensor => IsPatchWeight(tensor.Name));
    }

    /// <summary>Whether a name is of what a training keeps beside the weights.</summary>
    internal static bool IsTrainingState(string name) => _trainingState.Any(start => name.StartsWith(start, StringComparison.Ordinal));

    private static bool IsPatchWeight(string name) => ClipWeights.EndsWithName(name, PatchWeight);

    /// <summary>Builds the model from named tensors, which it copies where it has to change them.</summary>
    /// <param name="source">Where they come from, for messages.</param>
    /// <param name="tensors">Float32 tensors by their names in timm.</param>
    /// <param name="options">What the tensors do not tell.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape, or belongs to no plain ViT.</exception>
    public static ClipModel FromTensors(
        string source, IReadOnlyDictionary<string, Tensor> tensors, VitClassifierOptions? options = null)
    {
        using var scope = torch.NewDisposeScope();
        using var names = new VitClassifierTensors(source, tensors);
        options ??= new();
        var weights = names.ToOpenClip().Place(options.Device, options.Type);
        try
        {
            return new ClipModel(Configure(source, names, options), weights, options.Backend);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private static ClipConfig Configure(string source, VitClassifierTensors tensors, VitClassifierOptions options)
    {
        var patch = tensors.Shape(PatchWeight, 4);
        var (width, side) = ((int)patch[0], (int)patch[2]);
        var hidden = (int)tensors.Shape("blocks.0.mlp.fc1.weight", 2)[0];
        var heads = options.Heads ?? PublishedHeads(source, tensors, width, hidden, options.Assumptions);
        var positions = (int)tensors.Shape("pos_embed", 3)[1] - tensors.ClassTokens;
        var grid = (int)Math.Round(Math.Sqrt(positions));
        if (options.ImageSize is null && grid * grid != positions)
        {
            throw new UserException($"{source}: the position table is for {positions} patches, which fill no square; tell the image size.");
        }

        if (width % heads != 0)
        {
            throw new UserException($"{source}: {heads} heads do not divide its {width} channels; correct the number (--heads).");
        }

        return new()
        {
            EmbedDim = (int)tensors.Shape("head.weight", 2)[0],
            Vision = new()
            {
                Layers = tensors.Layers,
                Width = width,
                HeadWidth = width / heads,
                MlpRatio = MlpRatios.Of(hidden, width),
                PatchSize = side,
                ImageSize = options.ImageSize ?? (grid * side, grid * side),
                NoLnPre = !tensors.HasPreNorm,
                ClassTokens = tensors.ClassTokens,
                PoolType = tensors.PoolsPatches ? VisionPooling.Average : VisionPooling.ClassToken,
                FinalLnAfterPool = tensors.PoolsPatches,
                Epsilon = options.Epsilon,
            },
        };
    }

    private static int PublishedHeads(string source, VitClassifierTensors tensors, int width, int hidden, ICollection<string>? assumptions)
    {
        var known = PublishedModels.HeadsOf(PublishedModels.All.Classifier, width, tensors.Layers, hidden) ?? throw new UserException(
            $"{source} does not tell how many heads its {width} channels have, and no published model does; give --heads.");
        assumptions?.Add($"The model is taken to have {PublishedModels.Count(known.Heads)}, {known.Reason}; the weights do not tell (--heads does).");
        return known.Heads;
    }
}

/// <summary>The tensors of a plain ViT classifier by their names in timm, and what they say of the architecture.</summary>
internal sealed class VitClassifierTensors : IDisposable
{
    private const string Blocks = "visual.transformer.resblocks";

    private static readonly (string From, string To)[] BlockNames =
    [
        ("norm1.weight", "ln_1.weight"),
        ("norm1.bias", "ln_1.bias"),
        ("attn.qkv.weight", "attn.in_proj_weight"),
        ("attn.qkv.bias", "attn.in_proj_bias"),
        ("attn.proj.weight", "attn.out_proj.weight"),
        ("attn.proj.bias", "attn.out_proj.bias"),
        ("ls1.gamma", "ls_1.gamma"),
        ("norm2.weight", "ln_2.weight"),
        ("norm2.bias", "ln_2.bias"),
        ("mlp.fc1.weight", "mlp.c_fc.weight"),
        ("mlp.fc1.bias", "mlp.c_fc.bias"),
        ("mlp.fc2.weight", "mlp.c_proj.weight"),
        ("mlp.fc2.bias", "mlp.c_proj.bias"),
        ("ls2.gamma", "ls_2.gamma"),
    ];

    private readonly string _source;
    private readonly IReadOnlyDictionary<string, Tensor> _tensors;
    private readonly HashSet<string> _taken = [];
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    public VitClassifierTensors(string source, IReadOnlyDictionary<string, Tensor> tensors)
    {
        _source = source;
        _tensors = tensors;
        Layers = Enumerable.Range(0, tensors.Count + 1).First(block => !tensors.ContainsKey($"blocks.{block}.norm1.weight"));
        if (Layers == 0)
        {
            throw Missing("blocks.0.norm1.weight");
        }
    }

    public int Layers { get; }

    public int ClassTokens => (_tensors.ContainsKey("cls_token") ? 1 : 0) + (_tensors.ContainsKey("dist_token") ? 1 : 0);

    public bool HasPreNorm => _tensors.ContainsKey("norm_pre.weight");

    /// <summary>Whether the head sees the mean of the patches; it then has a norm of its own.</summary>
    public bool PoolsPatches => _tensors.ContainsKey("fc_norm.weight") || ClassTokens == 0;

    public long[] Shape(string name, int dimensions) => Find(name) is not { } tensor ? throw Missing(name)
        : tensor.Dimensions == dimensions ? tensor.shape
        : throw new UserException(
            $"{_source}: `{name}` has shape [{string.Join(", ", tensor.shape)}], which no plain ViT has; check what the file holds.");

    /// <summary>The tensors under OpenCLIP's names.</summary>
    /// <exception cref="UserException">A tensor is missing, or one belongs to no plain ViT.</exception>
    public WeightTable ToOpenClip()
    {
        var renamed = new List<KeyValuePair<string, Tensor>>();
        void Add(string name, Tensor? tensor)
        {
            if (tensor is not null)
            {
                renamed.Add(new(name, tensor));
            }
        }

        Add("visual.class_embedding", ClassTokenRows());
        Add("visual.positional_embedding", Take("pos_embed").squeeze(0));
        Add("visual.proj", Head("weight").contiguous());
        Add("visual.proj_bias", Head("bias"));
        Add("visual.conv1.weight", Take("patch_embed.proj.weight"));
        Add("visual.conv1.bias", Find("patch_embed.proj.bias"));
        AddNorm("visual.ln_pre", "norm_pre", HasPreNorm);
        for (var block = 0; block < Layers; block++)
        {
            foreach (var (from, to) in BlockNames)
            {
                Add($"{Blocks}.{block}.{to}", Find($"blocks.{block}.{from}") ?? ZeroBias(block, from));
            }
        }

        AddNorm("visual.ln_post", _tensors.ContainsKey("fc_norm.weight") ? "fc_norm" : "norm", true);
        if (_tensors.Keys.FirstOrDefault(name => !_taken.Contains(name)) is { } unknown)
        {
            throw new UserException($"{_source} has a tensor `{unknown}`, which no plain ViT classifier has; this architecture is not supported.");
        }

        // Views of the caller's tensors and new ones alike get a life of their own.
        return new(_source, renamed.Select(pair => KeyValuePair.Create(pair.Key, pair.Value.alias())));

        void AddNorm(string to, string from, bool present)
        {
            if (present)
            {
                Add($"{to}.weight", Take($"{from}.weight"));
                Add($"{to}.bias", Take($"{from}.bias"));
            }
        }
    }

    public void Dispose() => _scope.Dispose();

    private Tensor? ClassTokenRows() => ClassTokens switch
    {
        0 => null,
        1 => Take("cls_token").flatten(),
        _ => torch.cat([Take("cls_token"), Take("dist_token")], 1).squeeze(0),
    };

    /// <summary>
    /// The head as the tower's projection: weights [k C,K] or bias [K]. A distilled model answers with the mean of two
    /// heads, each on its own token: one layer on both tokens.
    /// </summary>
    private Tensor Head(string part)
    {
        var head = Take($"head.{part}");
        var columns = part == "weight" ? head.t() : head;
        if (Find($"head_dist.{part}") is not { } second)
        {
            return columns;
        }

        return part == "weight" ? torch.cat([columns, second.t()], 0) / 2 : (columns + second) / 2;
    }

    // A model without a bias of queries, keys and values computes as if it were zero.
    private Tensor? ZeroBias(int block, string name) =>
        name == "attn.qkv.bias" ? torch.zeros(Shape($"blocks.{block}.attn.qkv.weight", 2)[0]) : null;

    private Tensor? Find(string name)
    {
        _taken.Add(name);
        return _tensors.GetValueOrDefault(name);
    }

    private Tensor Take(string name) => Find(name) ?? throw Missing(name);

    private UserException Missing(string name) => new(
        $"{_source} has no tensor `{name}`, which a ViT classifier under the names of timm, DeiT or MAE has; check what the file holds.");
}
