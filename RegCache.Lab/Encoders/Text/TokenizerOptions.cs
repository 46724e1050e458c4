namespace RegCache.Lab.Encoders.Text;

/// <summary>How <see cref="ClipTokenizer"/> treats text.</summary>
public sealed record TokenizerOptions
{
    /// <summary>Number of ids of every encoded text.</summary>
    public int ContextLength { get; init; } = 77;

    /// <summary>The id that fills unused positions. OpenCLIP pads with 0, HuggingFace with the end token.</summary>
    public int PadId { get; init; }

    /// <summary>How text is cleaned.</summary>
    public TextCleaning Cleaning { get; init; } = TextCleaning.LowerCase;

    /// <summary>
    /// True to repair text first: ligatures, full-width forms, curly quotes, control characters, line breaks,
    /// composition. Upstream does it with the ftfy package where that is installed.
    /// </summary>
    public bool FixText { get; init; } = true;

    /// <summary>
    /// True to read the special tokens' strings in a text as plain text. Upstream turns them into the special ids,
    /// which moves the position whose output becomes the text feature.
    /// </summary>
    public bool EscapeSpecialTokens { get; init; }
}
