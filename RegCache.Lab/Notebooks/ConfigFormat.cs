using RegCache.Lab.Encoders;

namespace RegCache.Lab.Notebooks;

/// <summary>The architecture of a vision tower.</summary>
internal static class ConfigFormat
{
    public static void WriteHtml(VisionConfig config, HtmlText html) => html.Pairs(
        "vision tower",
        [
            ("blocks", $"{config.Layers}"),
            ("channels", $"{config.Width}, in {config.Heads} heads"),
            ("MLP", $"{config.MlpWidth}"),
            ("image", $"{config.ImageSize.Height} x {config.ImageSize.Width}"),
            ("patches", $"{config.Grid.Height} x {config.Grid.Width} of {config.PatchSize} x {config.PatchSize} pixels"),
            ("class tokens", $"{config.ClassTokens}"),
            ("pooling", $"{config.PoolType}"),
        ]);

    public static string Text(VisionConfig config) =>
        $"vision tower of {config.Layers} blocks, {config.Width} channels in {config.Heads} heads, {config.Grid.Height} x {config.Grid.Width} patches of {config.PatchSize} pixels";
}
