using System.Text.Json;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>HuggingFace's <c>config.json</c> of CLIP models.</summary>
internal static class HuggingFaceConfig
{
    // Older files leave out what equals the defaults of that time, which are those of ViT-B/32.
    private const int DefaultProjection = 512;

    public static bool Recognises(JsonElement json) => json.TryGetProperty("vision_config", out _) || IsVisionOnly(json);

    public static bool Recognises(JsonFields fields) => fields.Get("vision_config") is not null || fields.Text("model_type") == "clip_vision_model";

    public static ClipConfig Parse(JsonFields fields)
    {
        if (fields.Text("model_type") is { } type and not ("clip" or "clip_vision_model"))
        {
            throw fields.Wrong("model_type", $"is \"{type}\", and only CLIP models are supported");
        }

        var vision = fields.Object("vision_config") ?? fields;
        var text = fields.Object("text_config");
        var quick = IsQuick(vision);
        if (text is not null && IsQuick(text) != quick)
        {
            throw text.Wrong("hidden_act", "differs from that of the vision tower, which is not supported");
        }

        var config = new ClipConfig
        {
            EmbedDim = fields.Int("projection_dim", vision.Int("projection_dim", DefaultProjection)),
            Vision = ParseVision(vision),
            Text = text is null ? null : ParseText(text),
            QuickGelu = quick,
            InitLogitScale = fields.Number("logit_scale_init_value") ?? ClipConfig.DefaultInitLogitScale,
        };
        return config.Validated(fields.Source);
    }

    private static VisionConfig ParseVision(JsonFields fields)
    {
        var width = fields.Int("hidden_size", 768);
        var size = fields.Int("image_size", 224);
        return new VisionConfig
        {
            Layers = fields.Int("num_hidden_layers", 12),
            Width = width,
            HeadWidth = HeadWidth(fields, width, 12),
            MlpRatio = MlpRatios.Of(fields.Int("intermediate_size", 3072), width),
            PatchSize = fields.Int("patch_size", 32),
            ImageSize = (size, size),
            Epsilon = fields.Number("layer_norm_eps") ?? 1e-5,
        };
    }

    private static TextConfig ParseText(JsonFields fields)
    {
        var width = fields.Int("hidden_size", 512);
        return new TextConfig
        {
            ContextLength = fields.Int("max_position_embeddings", 77, minimum: 2),
            VocabSize = fields.Int("vocab_size", 49408),
            Width = width,
            Heads = width / HeadWidth(fields, width, 8),
            Layers = fields.Int("num_hidden_layers", 12),
            MlpRatio = MlpRatios.Of(fields.Int("intermediate_size", 2048), width),
            Epsilon = fields.Number("layer_norm_eps") ?? 1e-5,
        };
    }

    private static int HeadWidth(JsonFields fields, int width, int fallback)
    {
        var heads = fields.Int("num_attention_heads", fallback);
        return width % heads == 0 ? width / heads : throw fields.Wrong("num_attention_heads", $"must divide the width {width}, and {heads} does not");
    }

    private static bool IsQuick(JsonFields fields) => fields.Choice("hidden_act", true, ("quick_gelu", true), ("gelu", false));

    private static bool IsVisionOnly(JsonElement json) =>
        json.TryGetProperty("model_type", out var type) && type.ValueKind == JsonValueKind.String && type.GetString() == "clip_vision_model";
}

/// <summary>
/// HuggingFace's names of CLIP's tensors. Its projections are transposed and its query, key and value matrices are separate;
/// both are put right when the tensors are read.
/// </summary>
public static class HuggingFaceNames
{
    internal static readonly string[] Projections = ["q_proj", "k_proj", "v_proj"];

    // The misspelling of "layernorm" is HuggingFace's.
    internal static readonly (string HuggingFace, string OpenClip)[] Table =
    [
        ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
        ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
        ("text_model.final_layer_norm.", "ln_final."),
        ("text_model.encoder.layers.", "transformer.resblocks."),
        ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
        ("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"),
        ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
        ("vision_model.pre_layrnorm.", "visual.ln_pre."),
        ("vision_model.post_layernorm.", "visual.ln_post."),
        ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
        ("text_projection.weight", "text_projection"),
        ("visual_projection.weight", "visual.proj"),
    ];

    internal static readonly (string HuggingFace, string OpenClip)[] BlockTable =
    [
        (".layer_norm1.", ".ln_1."),
        (".layer_norm2.", ".ln_2."),
        // The three become one.
        (".self_attn.q_proj.", ".attn.in_proj_"),
        (".self_attn.k_proj.", ".attn.in_proj_"),
        (".self_attn.v_proj.", ".attn.in_proj_"),
        (".self_attn.out_proj.", ".attn.out_proj."),
        (".mlp.fc1.", ".mlp.c_fc."),
        (".mlp.fc2.", ".mlp.c_proj."),
    ];

    /// <summary>Whether tensors have HuggingFace's names.</summary>
    public static bool Recognises(StateDict state)
    {
        ArgumentNullException.ThrowIfNull(state);
        return state.Tensors.Any(entry =>
            entry.Name.StartsWith("vision_model.", StringComparison.Ordinal) || entry.Name.StartsWith("text_model.", StringComparison.Ordinal));
    }

    /// <summary>The tensors under OpenCLIP's names; names that CLIP does not have are kept.</summary>
    /// <exception cref="UserException">A query, key or value matrix lacks its companions.</exception>
    public static StateDict ToOpenClip(StateDict state)
    {
        ArgumentNullException.ThrowIfNull(state);
        return state.Select(entry => ConvertEntry(state, entry), ToOpenClip);
    }

    private static WeightEntry? ConvertEntry(StateDict state, WeightEntry entry)
    {
        var name = entry.Name;
        var dot = name.LastIndexOf(".self_attn.", StringComparison.Ordinal);
        var projection = Array.FindIndex(Projections, part => name.Contains($".self_attn.{part}.", StringComparison.Ordinal));
        if (projection > 0 && state.Contains(name.Replace(Projections[projection], Projections[0], StringComparison.Ordinal)))
        {
            // It becomes rows of the fused matrix, which takes the place of the query matrix.
            return null;
        }

        if (projection >= 0)
        {
            var kind = name[(name.LastIndexOf('.') + 1)..];
            var parts = Array.ConvertAll(Projections, part => state[$"{name[..dot]}.self_attn.{part}.{kind}"]);
            return Fuse(state.Source, ToOpenClip(name), parts);
        }

        var converted = ToOpenClip(name);
        return name is "text_projection.weight" or "visual_projection.weight" && entry.Shape.Count == 2
            ? entry.Transpose().Rename(converted)
            : entry.Rename(converted);
    }

    private static WeightEntry Fuse(string source, string name, WeightEntry[] parts)
    {
        try
        {
            return WeightEntry.Concatenate(name, parts);
        }
        catch (ArgumentException exception)
        {
            throw new UserException($"{source}: the query, key and value of {name} do not fit together: {exception.Message}", exception);
        }
    }

    private static string ToOpenClip(string name)
    {
        foreach (var (from, to) in Table)
        {
            if (name.StartsWith(from, StringComparison.Ordinal))
            {
                name = to + name[from.Length..];
                return BlockTable.Aggregate(name, (text, pair) => text.Replace(pair.HuggingFace, pair.OpenClip, StringComparison.Ordinal));
            }
        }

        return name;
    }
}
