using System.Text.Json;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>HuggingFace's <c>config.json</c> of CLIP models (clip.md, section 9.4).</summary>
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
