using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Memory;
using RegCache.Lab.Pooling.Towers;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Model configurations as JSON: OpenCLIP's own files, its <c>open_clip_config.json</c> with
/// <c>model_cfg</c>, and HuggingFace's <c>config.json</c> of CLIP models.
/// </summary>
public static class ClipConfigJson
{
    private static readonly (string Word, PositionEmbeddingKind Value)[] PositionKinds =
        [("learnable", PositionEmbeddingKind.Learnable), ("sin_cos_2d", PositionEmbeddingKind.SinCos2D)];

    private static readonly (string Word, VisionPooling Value)[] VisionPoolings =
        [("tok", VisionPooling.ClassToken), ("avg", VisionPooling.Average), ("none", VisionPooling.None)];

    private static readonly (string Word, TextPooling Value)[] TextPoolings =
        [("argmax", TextPooling.ArgMax), ("first", TextPooling.First), ("last", TextPooling.Last), ("none", TextPooling.None)];

    private static readonly (string Word, bool Value)[] Projections = [("linear", true), ("none", false)];

    private static readonly (string Word, TextCleaning Value)[] Cleanings =
        [("lower", TextCleaning.LowerCase), ("whitespace", TextCleaning.Whitespace), ("canonicalize", TextCleaning.Canonicalize)];

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Under this key a safetensors file may carry its model's configuration.</summary>
    public const string MetadataKey = "model_cfg";

    /// <summary>Reads a configuration file of any of these kinds.</summary>
    /// <exception cref="UserException">The file cannot be read, is no configuration, or asks for what is not supported.</exception>
    public static ClipConfig Load(string path) => Parse(JsonFields.ReadFile(path), path);

    /// <summary>Reads a configuration from JSON.</summary>
    /// <param name="json">The whole object.</param>
    /// <param name="source">Where it comes from, for messages.</param>
    /// <exception cref="UserException">It is no configuration, or asks for what is not supported.</exception>
    public static ClipConfig Parse(JsonElement json, string source)
    {
        var fields = new JsonFields(json, source);
        if (fields.Object("model_cfg") is { } model)
        {
            return ParseOpenClip(model);
        }

        if (fields.Get("vision_cfg") is not null)
        {
            return ParseOpenClip(fields);
        }

        return HuggingFaceConfig.Recognises(fields)
            ? HuggingFaceConfig.Parse(fields)
            : throw new UserException($"{source} is no CLIP configuration: it has neither `model_cfg`, nor `vision_cfg`, nor `vision_config`.");
    }

    /// <summary>The configuration that a safetensors file carries in its metadata, with its name for messages; or null.</summary>
    /// <exception cref="UserException">It is damaged.</exception>
    internal static (JsonElement Json, string Source)? FromMetadata(WeightFile file)
    {
        var source = $"{file.Path}, metadata {MetadataKey}";
        return file.Metadata.TryGetValue(MetadataKey, out var text) ? (JsonFields.Parse(Encoding.UTF8.GetBytes(text), source), source) : null;
    }

    /// <summary>
    /// Whether a configuration names its activation: OpenCLIP's by <c>quick_gelu</c>; HuggingFace's always, as an absent <c>hidden_act</c>
    /// means the quick GELU there.
    /// </summary>
    internal static bool NamesActivation(JsonElement json) =>
        json.TryGetProperty("model_cfg", out var model) && model.ValueKind == JsonValueKind.Object ? NamesQuickGelu(model)
        : !json.TryGetProperty("vision_cfg", out _) || NamesQuickGelu(json);

    /// <summary>Whether a JSON object looks like a configuration that <see cref="Parse"/> reads.</summary>
    internal static bool Recognises(JsonElement json) =>
        json.ValueKind == JsonValueKind.Object
        && (json.TryGetProperty("model_cfg", out _) || json.TryGetProperty("vision_cfg", out _) || HuggingFaceConfig.Recognises(json));

    /// <summary>The configuration in OpenCLIP's form: the shapes, and every other field that differs from its default.</summary>
    public static string ToJson(ClipConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var root = Differing(
            new()
            {
                ["embed_dim"] = config.EmbedDim,
                ["quick_gelu"] = config.QuickGelu,
                ["custom_text"] = config.CustomText,
                ["init_logit_scale"] = config.InitLogitScale,
                ["init_logit_bias"] = config.InitLogitBias,
                ["nonscalar_logit_scale"] = config.NonscalarLogitScale,
            },
            new()
            {
                ["quick_gelu"] = false,
                ["custom_text"] = false,
                ["init_logit_scale"] = ClipConfig.DefaultInitLogitScale,
                ["nonscalar_logit_scale"] = false,
            });
        root["vision_cfg"] = config.Vision.Stages is { } stages
            ? new JsonObject
            {
                ["image_size"] = SizeOf(config.Vision),
                ["layers"] = new JsonArray([.. stages.Select(blocks => (JsonNode)blocks)]),
                ["width"] = config.Vision.Width,
                ["head_width"] = config.Vision.HeadWidth,
            }
            : Differing(AllFields(config.Vision), AllFields(new VisionConfig()), "image_size", "layers", "width", "head_width", "patch_size");
        if (config.Text is { } text)
        {
            root["text_cfg"] = Differing(AllFields(text), AllFields(new TextConfig()), "context_length", "vocab_size", "width", "heads", "layers");
        }

        return root.ToJsonString(Indented);
    }

    private static bool NamesQuickGelu(JsonElement json) => json.TryGetProperty("quick_gelu", out var value) && value.ValueKind != JsonValueKind.Null;

    private static ClipConfig ParseOpenClip(JsonFields fields)
    {
        if (fields.Get("multimodal_cfg") is not null)
        {
            throw fields.Wrong("multimodal_cfg", "describes a CoCa model, which is not supported; use a plain CLIP model");
        }

        var config = new ClipConfig
        {
            EmbedDim = fields.Get("embed_dim") is null ? throw fields.Wrong("embed_dim", "is missing") : fields.Int("embed_dim", 0),
            Vision = ParseVision(fields.RequiredObject("vision_cfg")),
            Text = fields.Object("text_cfg") is { } text ? ParseText(text) : null,
            QuickGelu = fields.Bool("quick_gelu", false),
            CustomText = fields.Bool("custom_text", false),
            InitLogitScale = fields.Number("init_logit_scale") ?? ClipConfig.DefaultInitLogitScale,
            InitLogitBias = fields.Number("init_logit_bias"),
            NonscalarLogitScale = fields.Bool("nonscalar_logit_scale", false),
        };
        return config.Validated(fields.Source);
    }

    private static VisionConfig ParseVision(JsonFields fields)
    {
        if (fields.Text("timm_model_name") is { Length: > 0 } timm)
        {
            throw fields.Wrong("timm_model_name", $"asks for the timm model {timm}, which is not supported; use a ViT configuration");
        }

        if (fields.Get("layers") is { ValueKind: JsonValueKind.Array })
        {
            return ParseResNet(fields);
        }

        if (fields.Bool("attentional_pool", false))
        {
            throw fields.Wrong("attentional_pool", "is not supported; use a model that pools the class token or the mean");
        }

        RefuseActivation(fields);
        var defaults = new VisionConfig();
        var config = new VisionConfig
        {
            Layers = fields.Int("layers", defaults.Layers),
            Width = fields.Int("width", defaults.Width),
            HeadWidth = fields.Int("head_width", defaults.HeadWidth),
            MlpRatio = fields.Number("mlp_ratio") ?? defaults.MlpRatio,
            PatchSize = Square(fields, "patch_size", defaults.PatchSize),
            ImageSize = Size(fields, "image_size", defaults.ImageSize),
            LayerScaleInit = fields.Number("ls_init_value"),
            PatchDropout = fields.Number("patch_dropout") ?? 0,
            NoLnPre = fields.Bool("no_ln_pre", false),
            PositionEmbedding = fields.Choice("pos_embed_type", defaults.PositionEmbedding, PositionKinds),
            FinalLnAfterPool = fields.Bool("final_ln_after_pool", false),
            PoolType = fields.Choice("pool_type", defaults.PoolType, VisionPoolings),
            HasProjection = fields.Choice("proj_type", true, Projections),
            Epsilon = Epsilon(fields) ?? defaults.Epsilon,
        };
        config = config with { Memory = fields.Object("memory_cfg") is { } memory ? MemoryConfig.Parse(memory, config) : null };
        config = fields.Object("pooling_cfg") is { } pooling ? WithPooling(config, TowerPooling.Parse(pooling)) : config;
        fields.RefuseUnread("timm_", "attn_pooler_", "output_tokens");
        return config;
    }

    private static VisionConfig WithPooling(VisionConfig config, TowerPooling pooling) => pooling.Entry.Shape(config with { Pooling = pooling });

    // What else OpenCLIP's files say holds for transformers alone.
    private static VisionConfig ParseResNet(JsonFields fields)
    {
        var defaults = new VisionConfig();
        return fields.Numbers("layers") is [_, _, _, _] stages && stages.All(blocks => blocks is >= 1 and <= 1 << 10 && blocks == Math.Floor(blocks))
            ? new()
            {
                Stages = [.. stages.Select(blocks => (int)blocks)],
                Layers = 0,
                Width = fields.Int("width", defaults.Width),
                HeadWidth = fields.Int("head_width", defaults.HeadWidth),
                ImageSize = Size(fields, "image_size", defaults.ImageSize),
            }
            : throw fields.Wrong("layers", "must be a number of blocks, or a ResNet's four numbers of blocks, such as [3, 4, 6, 3]");
    }

    private static TextConfig ParseText(JsonFields fields)
    {
        if (fields.Text("hf_model_name") is { Length: > 0 } name)
        {
            throw fields.Wrong("hf_model_name", $"asks for the HuggingFace text model {name}, which is not supported; use a configuration with CLIP's own text tower");
        }

        if (fields.Bool("embed_cls", false))
        {
            throw fields.Wrong("embed_cls", "is not supported; use a plain CLIP model");
        }

        RefuseActivation(fields);
        var defaults = new TextConfig();
        var config = new TextConfig
        {
            ContextLength = fields.Int("context_length", defaults.ContextLength, minimum: 2),
            VocabSize = fields.Int("vocab_size", defaults.VocabSize),
            Width = fields.Int("width", defaults.Width),
            Heads = fields.Int("heads", defaults.Heads),
            Layers = fields.Int("layers", defaults.Layers),
            MlpRatio = fields.Number("mlp_ratio") ?? defaults.MlpRatio,
            LayerScaleInit = fields.Number("ls_init_value"),
            PadId = fields.Int("pad_id", defaults.PadId, minimum: 0),
            NoCausalMask = fields.Bool("no_causal_mask", false),
            FinalLnAfterPool = fields.Bool("final_ln_after_pool", false),
            PoolType = fields.Choice("pool_type", defaults.PoolType, TextPoolings),
            ProjBias = fields.Bool("proj_bias", false),
            HasProjection = fields.Choice("proj_type", true, Projections),
            Cleaning = fields.Object("tokenizer_kwargs")?.Choice("clean", defaults.Cleaning, Cleanings) ?? defaults.Cleaning,
            Epsilon = Epsilon(fields) ?? defaults.Epsilon,
            Pooling = fields.Object("pooling_cfg") is { } pooling ? TextTowerPooling.Parse(pooling) : null,
        };
        fields.RefuseUnread("hf_", "output_tokens");
        return config;
    }

    private static void RefuseActivation(JsonFields fields)
    {
        if (fields.Object("act_kwargs")?.Text("approximate") is { } kind and not "none")
        {
            throw fields.Wrong("act_kwargs", $"asks for the {kind} approximation of GELU, which is not supported; the kit has the exact and the quick GELU");
        }
    }

    private static double? Epsilon(JsonFields fields)
    {
        if (fields.Object("norm_kwargs") is not { } options)
        {
            return null;
        }

        var epsilon = options.Number("eps");
        options.RefuseUnread();
        return epsilon;
    }

    private static int Square(JsonFields fields, string name, int fallback)
    {
        var (height, width) = Size(fields, name, (fallback, fallback));
        return height == width ? height : throw fields.Wrong(name, $"must be square, not {height} x {width}");
    }

    private static (int Height, int Width) Size(JsonFields fields, string name, (int Height, int Width) fallback)
    {
        if (fields.Get(name) is not { ValueKind: JsonValueKind.Array })
        {
            return (fields.Int(name, fallback.Height), fields.Int(name, fallback.Width));
        }

        return fields.Numbers(name) is [>= 1 and <= 1 << 20 and var height, >= 1 and <= 1 << 20 and var width]
            ? ((int)height, (int)width)
            : throw fields.Wrong(name, "must be one number or [height, width]");
    }

    private static JsonNode SizeOf(VisionConfig config) => config.ImageSize.Height == config.ImageSize.Width
        ? config.ImageSize.Height
        : new JsonArray(config.ImageSize.Height, config.ImageSize.Width);

    private static JsonObject AllFields(VisionConfig config) => new()
    {
        ["image_size"] = SizeOf(config),
        ["layers"] = config.Layers,
        ["width"] = config.Width,
        ["head_width"] = config.HeadWidth,
        ["patch_size"] = config.PatchSize,
        ["mlp_ratio"] = config.MlpRatio,
        ["ls_init_value"] = config.LayerScaleInit,
        ["patch_dropout"] = config.PatchDropout,
        ["no_ln_pre"] = config.NoLnPre,
        ["pos_embed_type"] = WordOf(PositionKinds, config.PositionEmbedding),
        ["final_ln_after_pool"] = config.FinalLnAfterPool,
        ["pool_type"] = WordOf(VisionPoolings, config.PoolType),
        ["proj_type"] = WordOf(Projections, config.HasProjection),
        ["norm_kwargs"] = new JsonObject { ["eps"] = config.Epsilon },
        ["memory_cfg"] = config.Memory?.ToJson(),
        ["pooling_cfg"] = config.Pooling?.ToJson(),
    };

    private static JsonObject AllFields(TextConfig config) => new()
    {
        ["context_length"] = config.ContextLength,
        ["vocab_size"] = config.VocabSize,
        ["width"] = config.Width,
        ["heads"] = config.Heads,
        ["layers"] = config.Layers,
        ["mlp_ratio"] = config.MlpRatio,
        ["ls_init_value"] = config.LayerScaleInit,
        ["pad_id"] = config.PadId,
        ["no_causal_mask"] = config.NoCausalMask,
        ["final_ln_after_pool"] = config.FinalLnAfterPool,
        ["pool_type"] = WordOf(TextPoolings, config.PoolType),
        ["proj_bias"] = config.ProjBias,
        ["proj_type"] = WordOf(Projections, config.HasProjection),
        ["pooling_cfg"] = config.Pooling?.ToJson(),
        ["tokenizer_kwargs"] = WordOf(Cleanings, config.Cleaning) is { } clean ? new JsonObject { ["clean"] = clean } : null,
        ["norm_kwargs"] = new JsonObject { ["eps"] = config.Epsilon },
    };

    private static JsonObject Differing(JsonObject all, JsonObject defaults, params string[] always) => new(all
        .Where(field => field.Value is not null && (always.Contains(field.Key) || !JsonNode.DeepEquals(field.Value, defaults[field.Key])))
        .Select(field => KeyValuePair.Create(field.Key, (JsonNode?)field.Value!.DeepClone())));

    private static string? WordOf<T>((string Word, T Value)[] words, T value) => Array.Find(words, pair => Equals(pair.Value, value)).Word;
}
