namespace RegCache.Lab.Encoders.Checkpoints;

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
