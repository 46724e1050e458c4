using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Encoders.Checkpoints;

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
