using System.Buffers;

namespace RegCache.Lab.Data;

/// <summary>
/// Finds captions whose UTF-8 was read as Windows-1252 on their way to the data set ("cafÃ©" for "café"). OpenCLIP's tokenizer repairs
/// them where the package ftfy is installed; this kit does not, so it says that they are there.
/// </summary>
internal static class CaptionCheck
{
    private const int MostCaptions = 1000;

    // What Windows-1252 has at 0x80 to 0x9F.
    private const string HighSigns =
        "\u20AC\u0081\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\u008D\u017D\u008F" +
        "\u0090\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\u009D\u017E\u0178";

    // What honest text has behind a letter: the no-break space, quotes, dashes and the ellipsis.
    private const string Punctuation = "\u00A0\u2018\u2019\u201A\u201C\u201D\u201E\u2039\u203A\u00AB\u00BB\u2013\u2014\u2026";

    private static readonly char[] _continuationSigns =
        [.. Enumerable.Range(0, 0x10000).Select(code => (char)code).Where(sign => Byte(sign) is >= 0x80 and < 0xC0)];

    private static readonly SearchValues<char> _continuations = SearchValues.Create(_continuationSigns);

    private static readonly SearchValues<char> _oddContinuations = SearchValues.Create([.. _continuationSigns.Except(Punctuation)]);

    /// <summary>A warning about captions that were read wrongly, or none; looks at captions evenly spread over the set.</summary>
    public static IEnumerable<string> Warnings(IPairSource pairs) => Warnings(pairs.Count, pairs.Caption);

    /// <summary>The same of captions by their number.</summary>
    public static IEnumerable<string> Warnings(int count, Func<int, string> captionOf)
    {
        var seen = Math.Min(MostCaptions, count);
        var (wrong, example) = (0, "");
        for (var number = 0; number < seen; number++)
        {
            try
            {
                var caption = captionOf((int)((long)number * count / seen));
                if (IsMisread(caption))
                {
                    (wrong, example) = (wrong + 1, wrong == 0 ? caption : example);
                }
            }
            catch (UserException)
            {
                // Whoever uses the pair is told.
            }
        }

        return wrong == 0
            ? []
            : [$"{wrong} of {seen} captions look as if their UTF-8 had been read in another character set, for example \"{Shortened(example)}\": the tokenizer does not repair this; repair the captions first."];
    }

    /// <summary>Whether a text holds the two to four signs that one character's bytes become.</summary>
    internal static bool IsMisread(string text)
    {
        for (var index = 0; index + 1 < text.Length; index++)
        {
            // Only the two-byte leads of Latin, Greek and Cyrillic letters: others stand before quotes in honest text. Three-byte leads
            // are letters that end French words; only behind that of the quotes and dashes themselves is punctuation a sign of misreading.
            var (following, signs) = Byte(text[index]) switch
            {
                0xC2 or 0xC3 or 0xCE or 0xCF or 0xD0 or 0xD1 => (1, _continuations),
                0xE2 => (2, _continuations),
                >= 0xE0 and <= 0xEF => (2, _oddContinuations),
                >= 0xF0 and <= 0xF4 => (3, _continuations),
                _ => (0, _continuations),
            };
            if (following > 0 && index + following < text.Length && text.AsSpan(index + 1, following).IndexOfAnyExcept(signs) < 0)
            {
                return true;
            }
        }

        return false;
    }

    private static int Byte(char sign) => HighSigns.IndexOf(sign) is >= 0 and var place ? 0x80 + place : sign is >= '\u0080' and <= '\u00FF' ? sign : -1;

    private static string Shortened(string text) => text.Length > 60 ? text[..60] + "..." : text.Trim();
}
