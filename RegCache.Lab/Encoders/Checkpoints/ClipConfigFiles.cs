using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// The named plain vision transformer configurations of OpenCLIP. Every name also exists with the
/// suffix "-quickgelu".
/// </summary>
public static class ClipConfigs
{
    private const string QuickSuffix = "-quickgelu";

    private static readonly OrderedDictionary<string, ClipConfig> Table = new()
    {
        ["ViT-S-32"] = Make(384, patch: 32, width: 384, textWidth: 384),
        ["ViT-S-16"] = Make(384, patch: 16, width: 384, textWidth: 384),
        ["ViT-M-32"] = Make(512, patch: 32, width: 512, textWidth: 512),
        ["ViT-M-16"] = Make(512, patch: 16, width: 512, textWidth: 512),
        ["ViT-B-32"] = Make(512, patch: 32, width: 768, textWidth: 512),
        ["ViT-B-16"] = Make(512, patch: 16, width: 768, textWidth: 512),
        ["ViT-B-16-plus"] = Make(640, patch: 16, width: 896, textWidth: 640),
        ["ViT-B-16-plus-240"] = Make(640, patch: 16, width: 896, textWidth: 640, image: 240),
        ["ViT-L-14"] = Make(768, patch: 14, width: 1024, textWidth: 768, layers: 24),
        ["ViT-L-14-336"] = Make(768, patch: 14, width: 1024, textWidth: 768, layers: 24, image: 336),
        ["ViT-H-14"] = Make(1024, patch: 14, width: 1280, textWidth: 1024, layers: 32, headWidth: 80, textLayers: 24),
    };

    /// <summary>All names.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Table.Keys.SelectMany(name => new[] { name, name + QuickSuffix })];

    /// <summary>The configuration of a name; "/" stands for "-", so that "ViT-B/32" works too.</summary>
    /// <exception cref="UserException">There is no such name.</exception>
    public static ClipConfig Get(string name) => Find(name) ?? throw new UserException(
        $"There is no model configuration called {name}; use one of {string.Join(", ", Table.Keys)}, each also with {QuickSuffix}, or a configuration file.");

    /// <summary>The configuration of a name, or null.</summary>
    public static ClipConfig? Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var plain = name.Replace('/', '-');
        var quick = plain.EndsWith(QuickSuffix, StringComparison.Ordinal);
        return Table.TryGetValue(quick ? plain[..^QuickSuffix.Length] : plain, out var config) ? config with { QuickGelu = quick } : null;
    }

    private static ClipConfig Make(
        int embed, int patch, int width, int textWidth, int layers = 12, int image = 224, int headWidth = 64, int textLayers = 12) => new()
        {
            EmbedDim = embed,
            Vision = new VisionConfig { ImageSize = (image, image), PatchSize = patch, Width = width, Layers = layers, HeadWidth = headWidth },
            Text = new TextConfig { Width = textWidth, Heads = textWidth / 64, Layers = textLayers },
        };
}

/// <summary>
/// Model configurations as JSON: OpenCLIP's own files, its <c>open_clip_config.json</c> with
/// <c>model_cfg</c>, and HuggingFace's <c>config.json</c> of CLIP models.
/// </summary>
public static class ClipConfigJson
{
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

    /// <summary>The configuration that a safetensors file carries in its metadata, or null.</summary>
    /// <exception cref="UserException">It is damaged or asks for what is not supported.</exception>
    internal static ClipConfig? FromMetadata(WeightFile file)
    {
        var source = $"{file.Path}, metadata {MetadataKey}";
        return file.Metadata.TryGetValue(MetadataKey, out var text) ? Parse(JsonFields.Parse(Encoding.UTF8.GetBytes(text), source), source) : null;
    }

    /// <summary>Whether a JSON object looks like a configuration that <see cref="Parse"/> reads.</summary>
    internal static bool Recognises(JsonElement json) =>
        json.ValueKind == JsonValueKind.Object
        && (json.TryGetProperty("model_cfg", out _) || json.TryGetProperty("vision_cfg", out _) || HuggingFaceConfig.Recognises(json));

    /// <summary>The configuration in OpenCLIP's form, with every field that differs from its default.</summary>
    public static string ToJson(ClipConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var root = new JsonObject { ["embed_dim"] = config.EmbedDim };
        Put(root, "quick_gelu", config.QuickGelu, false);
        Put(root, "custom_text", config.CustomText, false);
        Put(root, "init_logit_scale", config.InitLogitScale, ClipConfig.DefaultInitLogitScale);
        Put(root, "init_logit_bias", config.InitLogitBias, null);
        Put(root, "nonscalar_logit_scale", config.NonscalarLogitScale, false);
        root["vision_cfg"] = ToJson(config.Vision);
        if (config.Text is { } text)
        {
            root["text_cfg"] = ToJson(text);
        }

        return root.ToJsonString(new JsonSerializerOptions { WriteIndented = true });
    }

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
            throw fields.Wrong("layers", "is a list, which makes the tower a ResNet, which is not supported here; use a ViT configuration");
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
            PositionEmbedding = fields.Choice(
                "pos_embed_type", defaults.PositionEmbedding, ("learnable", PositionEmbeddingKind.Learnable), ("sin_cos_2d", PositionEmbeddingKind.SinCos2D)),
            FinalLnAfterPool = fields.Bool("final_ln_after_pool", false),
            PoolType = fields.Choice(
                "pool_type", defaults.PoolType, ("tok", VisionPooling.ClassToken), ("avg", VisionPooling.Average), ("none", VisionPooling.None)),
            OutputTokens = fields.Bool("output_tokens", false),
            Epsilon = Epsilon(fields) ?? defaults.Epsilon,
        };
        fields.RefuseUnread("timm_", "attn_pooler_");
        return config;
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
            PoolType = fields.Choice(
                "pool_type", defaults.PoolType, ("argmax", TextPooling.ArgMax), ("first", TextPooling.First), ("last", TextPooling.Last), ("none", TextPooling.None)),
            ProjBias = fields.Bool("proj_bias", false),
            HasProjection = fields.Choice("proj_type", true, ("linear", true), ("none", false)),
            OutputTokens = fields.Bool("output_tokens", false),
            Cleaning = fields.Object("tokenizer_kwargs")?.Choice(
                "clean", defaults.Cleaning, ("lower", TextCleaning.LowerCase), ("whitespace", TextCleaning.Whitespace), ("canonicalize", TextCleaning.Canonicalize))
                ?? defaults.Cleaning,
            Epsilon = Epsilon(fields) ?? defaults.Epsilon,
        };
        fields.RefuseUnread("hf_");
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
            return fields.Get(name) is null ? fallback : (fields.Int(name, 0), fields.Int(name, 0));
        }

        return fields.Numbers(name) is [>= 1 and <= 1 << 20 and var height, >= 1 and <= 1 << 20 and var width]
            ? ((int)height, (int)width)
            : throw fields.Wrong(name, "must be one number or [height, width]");
    }

    private static JsonObject ToJson(VisionConfig config)
    {
        var defaults = new VisionConfig();
        var json = new JsonObject
        {
            ["image_size"] = config.ImageSize.Height == config.ImageSize.Width
                ? config.ImageSize.Height
                : new JsonArray(config.ImageSize.Height, config.ImageSize.Width),
            ["layers"] = config.Layers,
            ["width"] = config.Width,
            ["head_width"] = config.HeadWidth,
            ["patch_size"] = config.PatchSize,
        };
        Put(json, "mlp_ratio", config.MlpRatio, defaults.MlpRatio);
        Put(json, "ls_init_value", config.LayerScaleInit, null);
        Put(json, "patch_dropout", config.PatchDropout, defaults.PatchDropout);
        Put(json, "no_ln_pre", config.NoLnPre, false);
        Put(json, "pos_embed_type", config.PositionEmbedding == PositionEmbeddingKind.SinCos2D ? "sin_cos_2d" : null, null);
        Put(json, "final_ln_after_pool", config.FinalLnAfterPool, false);
        Put(json, "pool_type", config.PoolType switch { VisionPooling.Average => "avg", VisionPooling.None => "none", _ => null }, null);
        Put(json, "output_tokens", config.OutputTokens, false);
        PutEpsilon(json, config.Epsilon, defaults.Epsilon);
        return json;
    }

    private static JsonObject ToJson(TextConfig config)
    {
        var defaults = new TextConfig();
        var json = new JsonObject
        {
            ["context_length"] = config.ContextLength,
            ["vocab_size"] = config.VocabSize,
            ["width"] = config.Width,
            ["heads"] = config.Heads,
            ["layers"] = config.Layers,
        };
        Put(json, "mlp_ratio", config.MlpRatio, defaults.MlpRatio);
        Put(json, "ls_init_value", config.LayerScaleInit, null);
        Put(json, "pad_id", config.PadId, defaults.PadId);
        Put(json, "no_causal_mask", config.NoCausalMask, false);
        Put(json, "final_ln_after_pool", config.FinalLnAfterPool, false);
        Put(json, "pool_type", config.PoolType == defaults.PoolType ? null : config.PoolType.ToString().ToLowerInvariant(), null);
        Put(json, "proj_bias", config.ProjBias, false);
        Put(json, "proj_type", config.HasProjection ? null : "none", null);
        Put(json, "output_tokens", config.OutputTokens, false);
        if (config.Cleaning is TextCleaning.Whitespace or TextCleaning.Canonicalize)
        {
            json["tokenizer_kwargs"] = new JsonObject { ["clean"] = config.Cleaning.ToString().ToLowerInvariant() };
        }

        PutEpsilon(json, config.Epsilon, defaults.Epsilon);
        return json;
    }

    private static void PutEpsilon(JsonObject json, double value, double fallback)
    {
        if (value != fallback)
        {
            json["norm_kwargs"] = new JsonObject { ["eps"] = value };
        }
    }

    private static void Put<T>(JsonObject json, string name, T value, T fallback)
    {
        if (!EqualityComparer<T>.Default.Equals(value, fallback))
        {
            json[name] = JsonValue.Create(value);
        }
    }
}

/// <summary>Checks that the numbers of a configuration fit together.</summary>
internal static class ClipConfigValidation
{
    /// <summary>The same configuration.</summary>
    /// <exception cref="UserException">Its numbers do not fit together.</exception>
    public static ClipConfig Validated(this ClipConfig config, string source)
    {
        var vision = config.Vision;
        Check(vision.Width % vision.HeadWidth == 0, source, $"the vision width {vision.Width} must be a multiple of the head width {vision.HeadWidth}");
        Check(vision.MlpWidth > 0, source, $"the vision MLP ratio {vision.MlpRatio} leaves no hidden channels");
        Check(
            vision.Grid is { Height: > 0, Width: > 0 },
            source,
            $"an image of {vision.ImageSize.Height} x {vision.ImageSize.Width} pixels has no whole patch of {vision.PatchSize} x {vision.PatchSize}");
        Check(vision.PatchDropout is >= 0 and < 1, source, $"the patch dropout {vision.PatchDropout} must be at least 0 and below 1");
        Check(vision.Epsilon > 0, source, $"the LayerNorm epsilon {vision.Epsilon} must be positive");
        Check(
            vision.PositionEmbedding == PositionEmbeddingKind.Learnable || vision.Grid.Height == vision.Grid.Width,
            source,
            "fixed position embeddings need a square image");
        if (config.Text is { } text)
        {
            Check(text.Width % text.Heads == 0, source, $"the text width {text.Width} must be a multiple of the number of heads {text.Heads}");
            Check(text.MlpWidth > 0, source, $"the text MLP ratio {text.MlpRatio} leaves no hidden channels");
            Check(text.PadId < text.VocabSize, source, $"the pad id {text.PadId} is outside the vocabulary of {text.VocabSize}");
            Check(text.Epsilon > 0, source, $"the LayerNorm epsilon {text.Epsilon} must be positive");
            Check(
                text.HasProjection || text.Width == config.EmbedDim,
                source,
                $"a text tower of width {text.Width} without projection cannot give embeddings of {config.EmbedDim} channels");
        }

        return config;
    }

    private static void Check(bool holds, string source, string why)
    {
        if (!holds)
        {
            throw new UserException($"{source}: {why}.");
        }
    }
}

/// <summary>
/// How a model's images are prepared, from the <c>preprocess_cfg</c> of OpenCLIP's <c>open_clip_config.json</c> or from
/// HuggingFace's <c>preprocessor_config.json</c>. What a file does not say is OpenAI's way.
/// </summary>
internal static class PreprocessJson
{
    // Pillow's numbers of its filters, which HuggingFace writes.
    private const int PillowBilinear = 2;
    private const int PillowBicubic = 3;

    public static PreprocessOptions FromOpenClip(JsonFields fields, VisionConfig vision) => Default(vision) with
    {
        Mean = Channels(fields, "mean", PreprocessOptions.OpenAiMean),
        StandardDeviation = Channels(fields, "std", PreprocessOptions.OpenAiStandardDeviation),
        Interpolation = fields.Choice("interpolation", Interpolation.Bicubic, ("bicubic", Interpolation.Bicubic), ("bilinear", Interpolation.Bilinear)),
        ResizeMode = fields.Choice(
            "resize_mode", ResizeMode.Shortest, ("shortest", ResizeMode.Shortest), ("longest", ResizeMode.Longest), ("squash", ResizeMode.Squash)),
        Fill = (byte)fields.Int("fill_color", 0, minimum: 0, maximum: byte.MaxValue),
    };

    public static PreprocessOptions FromHuggingFace(JsonFields fields, VisionConfig vision) => Default(vision) with
    {
        Mean = Channels(fields, "image_mean", PreprocessOptions.OpenAiMean),
        StandardDeviation = Channels(fields, "image_std", PreprocessOptions.OpenAiStandardDeviation),
        Interpolation = fields.Int("resample", PillowBicubic, minimum: 0) switch
        {
            PillowBicubic => Interpolation.Bicubic,
            PillowBilinear => Interpolation.Bilinear,
            var other => throw fields.Wrong("resample", $"must be {PillowBicubic} (bicubic) or {PillowBilinear} (bilinear), not {other}"),
        },
    };

    public static PreprocessOptions Default(VisionConfig vision) => new(vision.ImageSize.Height, vision.ImageSize.Width);

    private static RgbValues Channels(JsonFields fields, string name, RgbValues fallback)
    {
        if (fields.Get(name) is null)
        {
            return fallback;
        }

        return fields.Numbers(name) is [var red, var green, var blue]
            ? new RgbValues(red, green, blue)
            : throw fields.Wrong(name, "must hold three numbers, for red, green and blue");
    }
}
