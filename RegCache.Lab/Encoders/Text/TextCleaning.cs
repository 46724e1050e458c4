namespace RegCache.Lab.Encoders.Text;

/// <summary>What the tokenizer does to text before splitting it.</summary>
public enum TextCleaning
{
    /// <summary>Unescape HTML, collapse white space, lower-case: CLIP's own rule ("lower").</summary>
    LowerCase,

    /// <summary>Unescape HTML and collapse white space, keeping the case ("whitespace").</summary>
    Whitespace,

    /// <summary>Unescape HTML, replace <c>_</c> by a space, delete ASCII punctuation, lower-case, collapse white space ("canonicalize").</summary>
    Canonicalize,

    /// <summary>
    /// HuggingFace's rule for CLIP: compose (NFC), collapse white space, lower-case every character on its own; HTML is
    /// left alone. The special tokens that text may contain are <c>&lt;|startoftext|&gt;</c> and <c>&lt;|endoftext|&gt;</c>.
    /// </summary>
    HuggingFace,
}
