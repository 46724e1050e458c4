using System.Text;
using System.Text.RegularExpressions;

namespace RegCache.Lab.Encoders.Text;

/// <summary>
/// The plain repairs of text that CLIP's tokenizer makes first (clip.md, section 12.2, step 1). Repairing text that was
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

            text = UnicodeComposition.Compose(FixCharacters(TerminalEscape().Replace(text, string.Empty)));
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
                    result.Append(UnicodeComposition.Widen(character) ?? character.ToString());
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
