using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Placement;

/// <summary>How a block adds to the residual stream x; LN is a LayerNorm, A attention, M an MLP, g a gain a channel.</summary>
public enum BlockKind
{
    /// <summary>x + A(LN x), then x + M(LN x).</summary>
    Plain,

    /// <summary>x + g A(LN x), then x + g M(LN x) (Touvron et al. 2021, arXiv:2103.17239).</summary>
    LayerScale,

    /// <summary>x + A(LN x) + A'(LN' x), then the same of two MLPs (Touvron et al. 2022, arXiv:2203.09795).</summary>
    Parallel,

    /// <summary>The parallel block with a gain for each of its four branches.</summary>
    ParallelLayerScale,
}

/// <summary>
/// A ViT classifier whose class, distillation and register tokens enter before blocks of the user's choice: its shapes, and how strongly
/// training disturbs it (docs/methods/late-tokens.md). JSON keys in parentheses. Configurations compare by value.
/// </summary>
public sealed record PlacementConfig
{
    /// <summary>The word by which a configuration file says that it is one of these (<c>architecture</c>).</summary>
    internal const string Architecture = "dynamic_vit";

    private static readonly (string Word, BlockKind Value)[] _kinds =
    [
        ("plain", BlockKind.Plain), ("layerscale", BlockKind.LayerScale), ("parallel", BlockKind.Parallel), ("parallel_layerscale", BlockKind.ParallelLayerScale),
    ];

    /// <summary>Input size in pixels (<c>img_size</c>: one number, or [height, width]).</summary>
    public (int Height, int Width) ImageSize { get; init; } = (224, 224);

    /// <summary>Size of a patch (<c>patch_size</c>: one number, or [height, width]).</summary>
    public (int Height, int Width) PatchSize { get; init; } = (16, 16);

    /// <summary>Channels of an image (<c>in_chans</c>).</summary>
    public int Channels { get; init; } = 3;

    /// <summary>Classes K; 0 for a model without head, which gives the class feature (<c>num_classes</c>).</summary>
    public int Classes { get; init; } = 1000;

    /// <summary>Channels D of a token (<c>embed_dim</c>).</summary>
    public int Width { get; init; } = 768;

    /// <summary>Number of blocks L (<c>depth</c>).</summary>
    public int Depth { get; init; } = 12;

    /// <summary>Attention heads (<c>num_heads</c>).</summary>
    public int Heads { get; init; } = 12;

    /// <summary>Hidden channels of the MLP as a multiple of <see cref="Width"/> (<c>mlp_ratio</c>).</summary>
    public double MlpRatio { get; init; } = 4;

    /// <summary>Whether the projection to queries, keys and values has a bias (<c>qkv_bias</c>).</summary>
    public bool QkvBias { get; init; }

    /// <summary>What queries are multiplied by; null for one over the root of a head's channels (<c>qk_scale</c>).</summary>
    public double? QkScale { get; init; }

    /// <summary>In training, the share of the class feature that is dropped before the head (<c>drop_rate</c>).</summary>
    public double DropRate { get; init; }

    /// <summary>In training, the share of attention probabilities that is dropped (<c>attn_drop_rate</c>).</summary>
    public double AttentionDropRate { get; init; }

    /// <summary>In training, the probability with which an image skips a branch; the same in every block (<c>drop_path_rate</c>).</summary>
    public double DropPathRate { get; init; }

    /// <summary>The epsilon of every LayerNorm (<c>norm_eps</c>).</summary>
    public double Epsilon { get; init; } = 1e-5;

    /// <summary>The kind of every block (<c>block</c>: "plain", "layerscale", "parallel" or "parallel_layerscale").</summary>
    public BlockKind Block { get; init; }

    /// <summary>Start value of the gains (<c>init_scale</c>).</summary>
    public double InitScale { get; init; } = 1e-4;

    /// <summary>Register tokens R (<c>num_register_tokens</c>).</summary>
    public int Registers { get; init; } = 4;

    /// <summary>The class token enters before this block (<c>cls_pos</c>).</summary>
    public int ClassBlock { get; init; }

    /// <summary>The registers enter before this block; it says nothing where there are none (<c>reg_pos</c>).</summary>
    public int RegisterBlock { get; init; }

    /// <summary>A distillation token enters before this block; null for none (<c>dist_pos</c>).</summary>
    public int? DistillationBlock { get; init; }

    /// <summary>
    /// DeiT's distilled model instead: class and distillation token are there from the start and have rows of the position table, and there
    /// are no registers (<c>deit_distilled</c>).
    /// </summary>
    public bool DeitDistilled { get; init; }

    /// <summary>Whether there are two heads, one on the class and one on the distillation token.</summary>
    public bool IsDistilled => DeitDistilled || DistillationBlock is not null;

    /// <summary>Patches of an image N.</summary>
    public int Patches => Grid.Height * Grid.Width;

    /// <summary>Number of patches along each axis.</summary>
    public (int Height, int Width) Grid => (ImageSize.Height / PatchSize.Height, ImageSize.Width / PatchSize.Width);

    /// <summary>Hidden channels of the MLP.</summary>
    public int MlpWidth => (int)(Width * MlpRatio);

    /// <summary>Whether branches have gains.</summary>
    internal bool HasGains => Block is BlockKind.LayerScale or BlockKind.ParallelLayerScale;

    /// <summary>Pairs of attention and MLP in a block.</summary>
    internal int Branches => Block is BlockKind.Parallel or BlockKind.ParallelLayerScale ? 2 : 1;

    /// <summary>Rows of the position table before those of the patches.</summary>
    internal int PositionedTokens => DeitDistilled ? 2 : 0;

    /// <summary>A published size by name: "tiny", "small" or "base".</summary>
    /// <exception cref="UserException">There is no such size.</exception>
    public static PlacementConfig Preset(string name) => name switch
    {
        "tiny" => new() { Width = 192, Heads = 3 },
        "small" => new() { Width = 384, Heads = 6 },
        "base" => new() { Width = 768, Heads = 12 },
        _ => throw new UserException($"There is no model size called {name}; use tiny, small or base."),
    };

    /// <summary>The names that <see cref="Preset"/> knows.</summary>
    public static IReadOnlyList<string> Presets { get; } = ["tiny", "small", "base"];

    /// <summary>The same configuration, checked.</summary>
    /// <exception cref="UserException">A value is out of range; the message names it and the range.</exception>
    public PlacementConfig Validated()
    {
        Positive(("img_size", ImageSize.Height), ("img_size", ImageSize.Width), ("patch_size", PatchSize.Height), ("patch_size", PatchSize.Width));
        Positive(("in_chans", Channels), ("embed_dim", Width), ("depth", Depth), ("num_heads", Heads), ("mlp_ratio x embed_dim", MlpWidth));
        Require(Width % Heads == 0, $"embed_dim {Width} must be a multiple of num_heads {Heads}");
        Require(
            ImageSize.Height % PatchSize.Height == 0 && ImageSize.Width % PatchSize.Width == 0,
            $"img_size {ImageSize.Height} x {ImageSize.Width} must be a multiple of patch_size {PatchSize.Height} x {PatchSize.Width}");
        Require(Classes >= 0, $"num_classes must be at least 0, not {Classes}");
        Require(Registers >= 0, $"num_register_tokens must be at least 0, not {Registers}");
        Rates(("drop_rate", DropRate), ("attn_drop_rate", AttentionDropRate), ("drop_path_rate", DropPathRate));
        Require(Epsilon > 0, $"norm_eps must be above 0, not {Epsilon}");
        Require(QkScale is null or (> 0 and < double.PositiveInfinity), $"qk_scale must be above 0, not {QkScale}");
        Require(double.IsFinite(InitScale), $"init_scale must be a number, not {InitScale}");
        Entry("cls_pos", ClassBlock);
        Entry("reg_pos", Registers == 0 ? 0 : RegisterBlock);
        Entry("dist_pos", DistillationBlock ?? 0);
        Require(!DeitDistilled || (Registers, ClassBlock, DistillationBlock) == (0, 0, null), "deit_distilled takes neither registers nor dist_pos, and cls_pos 0");
        return this;

        static void Require(bool holds, string why)
        {
            if (!holds)
            {
                throw new UserException($"The model cannot be built: {why}.");
            }
        }

        static void Positive(params ReadOnlySpan<(string Name, int Value)> numbers)
        {
            foreach (var (name, value) in numbers)
            {
                Require(value >= 1, $"{name} must be at least 1, not {value}");
            }
        }

        static void Rates(params ReadOnlySpan<(string Name, double Value)> rates)
        {
            foreach (var (name, value) in rates)
            {
                Require(value is >= 0 and < 1, $"{name} must be at least 0 and below 1, not {value}");
            }
        }

        void Entry(string name, int block) => Require(block >= 0 && block < Depth, $"{name} must be a block from 0 to {Depth - 1}, not {block}");
    }

    /// <summary>The configuration of the one encoder.</summary>
    public ClipConfig ToClip() => new()
    {
        EmbedDim = Classes > 0 ? Classes : Width,
        Vision = new()
        {
            Layers = Depth,
            Width = Width,
            HeadWidth = Width / Heads,
            MlpRatio = MlpRatio,
            PatchSize = PatchSize.Height,
            PatchShape = PatchSize.Height == PatchSize.Width ? null : PatchSize,
            Channels = Channels,
            ImageSize = ImageSize,
            LayerScaleInit = HasGains ? InitScale : null,
            Branches = Branches,
            NoLnPre = true,
            ClassTokens = IsDistilled ? 2 : 1,
            LateTokens = DeitDistilled ? null : new(ClassBlock, Registers, RegisterBlock, DistillationBlock),
            HasProjection = Classes > 0,
            Epsilon = Epsilon,
        },
    };

    /// <summary>The configuration as JSON, every value written out.</summary>
    public string ToJson()
    {
        static JsonNode Sides((int Height, int Width) size) => size.Height == size.Width ? size.Height : new JsonArray(size.Height, size.Width);
        return new JsonObject
        {
            ["architecture"] = Architecture,
            ["img_size"] = Sides(ImageSize),
            ["patch_size"] = Sides(PatchSize),
            ["in_chans"] = Channels,
            ["num_classes"] = Classes,
            ["embed_dim"] = Width,
            ["depth"] = Depth,
            ["num_heads"] = Heads,
            ["mlp_ratio"] = MlpRatio,
            ["qkv_bias"] = QkvBias,
            ["qk_scale"] = QkScale,
            ["drop_rate"] = DropRate,
            ["attn_drop_rate"] = AttentionDropRate,
            ["drop_path_rate"] = DropPathRate,
            ["norm_eps"] = Epsilon,
            ["block"] = Array.Find(_kinds, pair => pair.Value == Block).Word,
            ["init_scale"] = InitScale,
            ["num_register_tokens"] = Registers,
            ["cls_pos"] = ClassBlock,
            ["reg_pos"] = RegisterBlock,
            ["dist_pos"] = DistillationBlock,
            ["deit_distilled"] = DeitDistilled,
        }.ToJsonString(ReportJson.Options);
    }

    /// <summary>Reads a configuration file.</summary>
    /// <exception cref="UserException">It cannot be read, or is no such configuration.</exception>
    public static PlacementConfig Load(string path) => Parse(JsonFields.ReadFile(path), path);

    /// <summary>Reads a configuration; what it leaves out has the default values.</summary>
    /// <param name="json">The object.</param>
    /// <param name="source">Where it comes from, for messages.</param>
    /// <exception cref="UserException">A field has a wrong type or value, or is unknown.</exception>
    public static PlacementConfig Parse(JsonElement json, string source)
    {
        var fields = new JsonFields(json, source);
        var plain = new PlacementConfig();
        _ = fields.Text("architecture");
        var config = new PlacementConfig
        {
            ImageSize = Sides("img_size", plain.ImageSize),
            PatchSize = Sides("patch_size", plain.PatchSize),
            Channels = fields.Int("in_chans", plain.Channels),
            Classes = fields.Int("num_classes", plain.Classes, 0),
            Width = fields.Int("embed_dim", plain.Width),
            Depth = fields.Int("depth", plain.Depth),
            Heads = fields.Int("num_heads", plain.Heads),
            MlpRatio = fields.Number("mlp_ratio") ?? plain.MlpRatio,
            QkvBias = fields.Bool("qkv_bias", plain.QkvBias),
            // Upstream takes 0 for none, too.
            QkScale = fields.Number("qk_scale") is { } scale and not 0 ? scale : null,
            DropRate = fields.Number("drop_rate") ?? plain.DropRate,
            AttentionDropRate = fields.Number("attn_drop_rate") ?? plain.AttentionDropRate,
            DropPathRate = fields.Number("drop_path_rate") ?? plain.DropPathRate,
            Epsilon = fields.Number("norm_eps") ?? plain.Epsilon,
            Block = fields.Choice("block", plain.Block, _kinds),
            InitScale = fields.Number("init_scale") ?? plain.InitScale,
            Registers = fields.Int("num_register_tokens", plain.Registers, 0),
            ClassBlock = fields.Int("cls_pos", plain.ClassBlock, 0),
            RegisterBlock = fields.Int("reg_pos", plain.RegisterBlock, 0),
            DistillationBlock = fields.Get("dist_pos") is null ? null : fields.Int("dist_pos", 0, 0),
            DeitDistilled = fields.Bool("deit_distilled", false),
        };
        fields.RefuseUnread();
        return config.Validated();

        (int, int) Sides(string name, (int Height, int Width) fallback) => fields.Get(name) is { ValueKind: JsonValueKind.Array }
            ? fields.Numbers(name) is [>= 1 and <= 1 << 20 and var height, >= 1 and <= 1 << 20 and var width]
                ? ((int)height, (int)width)
                : throw fields.Wrong(name, "must be one number or [height, width]")
            : (fields.Int(name, fallback.Height), fields.Int(name, fallback.Width));
    }

    /// <summary>Whether a JSON object says that it is one of these.</summary>
    internal static bool Recognises(JsonElement json) =>
        json.ValueKind == JsonValueKind.Object
        && json.TryGetProperty("architecture", out var architecture)
        && architecture.ValueKind == JsonValueKind.String
        && architecture.GetString() == Architecture;
}
