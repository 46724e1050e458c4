using System.Text;

namespace RegCache.Lab.Encoders.Text;

/// <summary>Everything the tokenizer does to text before splitting it (clip.md, section 12.2, steps 1 to 4).</summary>
internal static class TextCleaner
{
    public static string Clean(string text, TextCleaning cleaning, bool fix)
    {
        if (cleaning == TextCleaning.HuggingFace)
        {
            return UnicodeText.ToLower(UnicodeText.CollapseSpaces(UnicodeComposition.Compose(text)), context: false);
        }

        // Twice, because captions of the web often are escaped twice.
        var plain = Html.Unescape(Html.Unescape(fix ? TextFixer.Fix(text) : text));
        return cleaning switch
        {
            TextCleaning.Whitespace => UnicodeText.CollapseSpaces(plain),
            TextCleaning.Canonicalize => UnicodeText.CollapseSpaces(UnicodeText.ToLower(WithoutPunctuation(plain))),
            _ => UnicodeText.ToLower(UnicodeText.CollapseSpaces(plain)),
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
