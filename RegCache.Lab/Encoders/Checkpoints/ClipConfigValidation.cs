namespace RegCache.Lab.Encoders.Checkpoints;

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
