using System.Globalization;
using System.Text;

namespace RegCache.Lab.Encoders.Text;

/// <summary>Composition, white space and lower case by Unicode's full rules.</summary>
internal static class UnicodeText
{
    private const int CapitalIWithDot = 0x130;
    private const int CapitalSigma = 0x3A3;
    private const char FinalSigma = '\u03C2';

    // Everything below is composed already.
    private const char FirstComposed = '\u0300';

    // The one character that .NET refuses to compose.
    private const char Refused = '\uFFFE';

    private static readonly bool CanCompose = "e\u0301".Normalize() == "\u00E9";

    /// <summary>The text in Unicode's normalization form NFC. Halves of surrogate pairs become U+FFFD.</summary>
    /// <exception cref="UserException">The process runs without ICU, which composes for .NET.</exception>
    public static string Compose(string text) => text.AsSpan().ContainsAnyInRange(FirstComposed, char.MaxValue)
        ? Normalize(Encoding.Unicode.GetString(Encoding.Unicode.GetBytes(text)), NormalizationForm.FormC)
        : text;

    /// <summary>What a half- or full-width form (U+FF01 to U+FFEF) stands for: its compatibility decomposition.</summary>
    /// <exception cref="UserException">The process runs without ICU.</exception>
    public static string Widen(char form) => Normalize(form.ToString(), NormalizationForm.FormKC);

    /// <summary>White space, including the separators U+001C to U+001F.</summary>
    public static bool IsSpace(char character) => char.IsWhiteSpace(character) || character is >= '\u001C' and <= '\u001F';

    /// <summary>Runs of white space become one space; none is left at the ends.</summary>
    public static string CollapseSpaces(string text)
    {
        var result = new StringBuilder(text.Length);
        var pending = false;
        foreach (var character in text)
        {
            if (IsSpace(character))
            {
                pending = result.Length > 0;
                continue;
            }

            if (pending)
            {
                result.Append(' ');
                pending = false;
            }

            result.Append(character);
        }

        return result.ToString();
    }

    /// <summary>
    /// Lower case: U+0130 becomes "i" with a combining dot, and a capital sigma at the end of a word the final sigma.
    /// </summary>
    /// <param name="text">Any text.</param>
    /// <param name="context">False to lower every character on its own, as HuggingFace's tokenizers do.</param>
    public static string ToLower(string text, bool context = true)
    {
        if (Ascii.IsValid(text))
        {
            return text.ToLowerInvariant();
        }

        var result = new StringBuilder(text.Length + 1);
        var index = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            switch (rune.Value)
            {
                case CapitalIWithDot:
                    result.Append("i\u0307");
                    break;
                case CapitalSigma when context && IsWordEnd(text, index):
                    result.Append(FinalSigma);
                    break;
                default:
                    result.Append(Rune.ToLowerInvariant(rune).ToString());
                    break;
            }

            index += rune.Utf16SequenceLength;
        }

        return result.ToString();
    }

    // Without ICU .NET returns every text as it is.
    private static string Normalize(string text, NormalizationForm form) => CanCompose
        ? string.Join(Refused, text.Split(Refused).Select(part => part.Normalize(form)))
        : throw new UserException("Text with characters beyond Latin needs ICU, without which this process runs: install libicu, and leave DOTNET_SYSTEM_GLOBALIZATION_INVARIANT unset.");

    // After a cased letter and not before one, looking past what is invisible to case.
    private static bool IsWordEnd(string text, int index)
    {
        var before = index;
        Rune rune;
        do
        {
            if (Rune.DecodeLastFromUtf16(text.AsSpan(0, before), out rune, out var length) != System.Buffers.OperationStatus.Done)
            {
                return false;
            }

            before -= length;
        }
        while (IsCaseIgnorable(rune.Value));

        if (!IsCased(rune.Value))
        {
            return false;
        }

        var after = index + 1;
        do
        {
            if (Rune.DecodeFromUtf16(text.AsSpan(after), out rune, out var length) != System.Buffers.OperationStatus.Done)
            {
                return true;
            }

            after += length;
        }
        while (IsCaseIgnorable(rune.Value));

        return !IsCased(rune.Value);
    }

    // Unicode's Case_Ignorable: marks, format characters, modifiers, and punctuation inside words.
    private static bool IsCaseIgnorable(int code) =>
        code is '\'' or '.' or ':' or 0xB7 or 0x387 or 0x55F or 0x5F4 or 0x2018 or 0x2019 or 0x2024 or 0x2027
            or 0xFE13 or 0xFE52 or 0xFE55 or 0xFF07 or 0xFF0E or 0xFF1A
        || CharUnicodeInfo.GetUnicodeCategory(code) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark
            or UnicodeCategory.Format or UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol;

    // Unicode's Cased: letters with case, and the numerals and circled or squared letters that have it too.
    private static bool IsCased(int code) =>
        code is 0xAA or 0xBA or (>= 0x2160 and <= 0x217F) or (>= 0x24B6 and <= 0x24E9)
            or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189)
        || CharUnicodeInfo.GetUnicodeCategory(code) is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter
            or UnicodeCategory.TitlecaseLetter;
}
