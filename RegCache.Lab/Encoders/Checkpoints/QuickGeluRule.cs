namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Chooses the activation of both towers (clip.md, section 9.3). Some published weights were trained with the quick GELU
/// although the configuration of their name says exact GELU, and lose accuracy when they are run with it.
/// </summary>
public static class QuickGeluRule
{
    /// <summary>Whether weights are known to be trained with the quick GELU.</summary>
    /// <param name="tag">What names the weights: a tag such as "openai", or a file name.</param>
    /// <param name="container">The form of the weight file: OpenAI's originals are TorchScript archives.</param>
    /// <param name="config">The architecture: the LAION-400M weights are quick for patch size 32 only.</param>
    public static bool IsKnown(string? tag, WeightContainer container, ClipConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        bool Has(string word) => tag?.Contains(word, StringComparison.OrdinalIgnoreCase) ?? false;
        return container == WeightContainer.TorchScript
            || Has("openai")
            || Has("quickgelu")
            || Has("metaclip")
            || Has("dfn")
            || (Has("laion400m") && config.Vision is { PatchSize: 32, Width: 768 });
    }

    /// <summary>
    /// The configuration with the activation that the weights need; with <paramref name="literal"/> the configuration
    /// as it is, which reproduces the mismatch that upstream only warns of.
    /// </summary>
    /// <param name="config">The configuration as its file or name gives it.</param>
    /// <param name="tag">What names the weights: a tag such as "openai", or a file name.</param>
    /// <param name="container">The form of the weight file.</param>
    /// <param name="literal">True to leave the activation alone.</param>
    public static ClipConfig Apply(ClipConfig config, string? tag, WeightContainer container, bool literal = false) =>
        literal || !IsKnown(tag, container, config) ? config : config with { QuickGelu = true };
}
