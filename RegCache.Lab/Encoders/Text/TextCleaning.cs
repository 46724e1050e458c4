using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

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

/// <summary>Everything the tokenizer does to text before splitting it.</summary>
internal static class TextCleaner
{
    public static string Clean(string text, TextCleaning cleaning, bool fix)
    {
        if (cleaning == TextCleaning.HuggingFace)
        {
            return UnicodeText.ToLower(UnicodeText.CollapseSpaces(UnicodeText.Compose(text)), context: false);
        }

        // Twice, because captions of the web often are escaped twice.
        var plain = Html.Unescape(Html.Unescape(fix ? TextFixer.Fix(text) : text));
        return cleaning switch
        {
            TextCleaning.Whitespace => UnicodeText.CollapseSpaces(plain),
            TextCleaning.Canonicalize => UnicodeText.CollapseSpaces(UnicodeText.ToLower(WithoutPunctuation(plain))),
            TextCleaning.LowerCase => UnicodeText.ToLower(UnicodeText.CollapseSpaces(plain)),
            _ => throw new UnreachableException(),
        };
    }

    private static string WithoutPunctuation(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var character in text)
        {
            if (character == '_')
            {
                result.Append(' ');
            }
            else if (!char.IsAscii(character) || !(char.IsPunctuation(character) || char.IsSymbol(character)))
            {
                result.Append(character);
            }
        }

        return result.ToString();
    }
}

/// <summary>
/// The plain repairs of text that CLIP's tokenizer makes first. Repairing text that was
/// decoded with a wrong character set is not among them.
/// </summary>
internal static partial class TextFixer
{
    /// <summary>Applies all repairs until nothing changes any more.</summary>
    public static string Fix(string text)
    {
        while (true)
        {
            var before = text;
            if (!text.Contains('<', StringComparison.Ordinal))
            {
                text = Html.UnescapeComplete(text);
            }

            text = UnicodeText.Compose(FixCharacters(TerminalEscape().Replace(text, string.Empty)));
            if (text == before)
            {
                return text;
            }
        }
    }

    private static string FixCharacters(string text)
    {
        if (!text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            return text;
        }

        var result = new StringBuilder(text.Length);
        for (var index = 0; index < text.Length; index++)
        {
            var character = text[index];
            switch (character)
            {
                case '\r':
                    index += index + 1 < text.Length && text[index + 1] == '\n' ? 1 : 0;
                    result.Append('\n');
                    break;
                case '\u2028' or '\u2029' or '\u0085':
                    result.Append('\n');
                    break;
                case '\u02BC' or (>= '\u2018' and <= '\u201B'):
                    result.Append('\'');
                    break;
                case >= '\u201C' and <= '\u201F':
                    result.Append('"');
                    break;
                case '\u3000':
                    result.Append(' ');
                    break;
                case >= '\uFF01' and <= '\uFFEF':
                    result.Append(UnicodeText.Widen(character));
                    break;
                case var control when IsControl(control):
                    break;
                case var other when Ligature(other) is { } letters:
                    result.Append(letters);
                    break;
                default:
                    result.Append(character);
                    break;
            }
        }

        return result.ToString();
    }

    // Those that no text means; line feeds and other white space stay.
    private static bool IsControl(char character) => character is
        (>= '\0' and <= '\u0008') or '\u000B' or (>= '\u000E' and <= '\u001F') or '\u007F'
        or (>= '\u206A' and <= '\u206F') or '\uFEFF' or (>= '\uFFF9' and <= '\uFFFC');

    private static string? Ligature(char character) => character switch
    {
        '\u0132' => "IJ",
        '\u0133' => "ij",
        '\u01C4' => "D\u017D",
        '\u01C5' => "D\u017E",
        '\u01C6' => "d\u017E",
        '\u01C7' => "LJ",
        '\u01C8' => "Lj",
        '\u01C9' => "lj",
        '\u01CA' => "NJ",
        '\u01CB' => "Nj",
        '\u01CC' => "nj",
        '\u01F1' => "DZ",
        '\u01F2' => "Dz",
        '\u01F3' => "dz",
        '\uFB00' => "ff",
        '\uFB01' => "fi",
        '\uFB02' => "fl",
        '\uFB03' => "ffi",
        '\uFB04' => "ffl",
        '\uFB05' => "\u017Ft",
        '\uFB06' => "st",
        _ => null,
    };

    [GeneratedRegex("\x1b\\[[0-9;]*[a-zA-Z]", RegexOptions.CultureInvariant)]
    private static partial Regex TerminalEscape();
}
