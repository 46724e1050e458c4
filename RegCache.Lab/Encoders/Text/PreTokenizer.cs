using System.Globalization;
using System.Text;

namespace RegCache.Lab.Encoders.Text;

/// <summary>
/// Splits clean text into the pieces that are encoded on their own (clip.md, section 12.2, step 5). Works on code points.
/// </summary>
internal static class PreTokenizer
{
    // Unicode's case folding makes the long s an s.
    private const char LongS = '\u017F';

    private static readonly string[] Contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

    private enum Kind
    {
        Space,
        Letter,
        Number,
        Other,
    }

    /// <summary>The pieces in order. White space is in none.</summary>
    /// <param name="text">Clean text.</param>
    /// <param name="specialTokens">Strings that are pieces of their own, in any case of letters.</param>
    public static IEnumerable<Range> Split(string text, IReadOnlyList<string> specialTokens)
    {
        for (var start = 0; start < text.Length;)
        {
            var length = Match(text, start, specialTokens);
            if (length == 0)
            {
                length = Match(text, start, Contractions);
            }

            if (length == 0)
            {
                var kind = KindAt(text, start, out length);
                while (kind is Kind.Letter or Kind.Other && start + length < text.Length && KindAt(text, start + length, out var next) == kind)
                {
                    length += next;
                }

                if (kind == Kind.Space)
                {
                    start += length;
                    continue;
                }
            }

            yield return start..(start + length);
            start += length;
        }
    }

    private static int Match(string text, int start, IReadOnlyList<string> words)
    {
        foreach (var word in words)
        {
            if (start <= text.Length - word.Length)
            {
                var index = 0;
                while (index < word.Length && Fold(text[start + index]) == word[index])
                {
                    index++;
                }

                if (index == word.Length)
                {
                    return word.Length;
                }
            }
        }

        return 0;
    }

    private static char Fold(char character) => character == LongS ? 's' : char.IsAscii(character) ? char.ToLowerInvariant(character) : character;

    private static Kind KindAt(string text, int index, out int length)
    {
        Rune.DecodeFromUtf16(text.AsSpan(index), out var rune, out length);
        return CharUnicodeInfo.GetUnicodeCategory(rune.Value) switch
        {
            UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
                or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => rune.IsBmp && UnicodeText.IsSpace((char)rune.Value) ? Kind.Space : Kind.Other,
        };
    }
}
