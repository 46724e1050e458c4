namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Chooses the activation of both towers (clip.md, section 9.3). Some published weights were trained with the quick GELU
/// although the configuration of their name says exact GELU, and lose accuracy when they are run with it.
/// </summary>
public static class QuickGeluRule
{
    private static readonly string[] QuickTags = ["openai", "quickgelu", "metaclip", "dfn"];

    /// <summary>Whether weights are known to be trained with the quick GELU.</summary>
    /// <param name="config">The architecture: the LAION-400M weights are quick for ViT-B-32 only.</param>
    /// <param name="tag">What names the weights, such as "openai" or a file name; null when nothing does.</param>
    /// <param name="container">The form of the weight file: OpenAI's originals are TorchScript archives.</param>
    public static bool IsKnown(ClipConfig config, string? tag, WeightContainer container)
    {
        ArgumentNullException.ThrowIfNull(config);
        bool Has(string word) => tag?.Contains(word, StringComparison.OrdinalIgnoreCase) ?? false;
        return container == WeightContainer.TorchScript
            || QuickTags.Any(Has)
            || (Has("laion400m") && config.Vision is { PatchSize: 32, Width: 768 });
    }

    /// <summary>
    /// The configuration with the activation that the weights need; with <paramref name="literal"/> the configuration
    /// as it is, which reproduces the mismatch that upstream only warns of.
    /// </summary>
    /// <param name="config">The configuration as its file or name gives it.</param>
    /// <param name="tag">What names the weights, such as "openai" or a file name; null when nothing does.</param>
    /// <param name="container">The form of the weight file: OpenAI's originals are TorchScript archives.</param>
    /// <param name="literal">True to leave the activation alone.</param>
    public static ClipConfig Apply(ClipConfig config, string? tag, WeightContainer container, bool literal = false) =>
        literal || !IsKnown(config, tag, container) ? config : config with { QuickGelu = true };
}
