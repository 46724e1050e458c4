using System.Globalization;
using System.Text;

namespace RegCache.Lab.Encoders.Text;

/// <summary>Character references of HTML5, by the rules of the HTML standard.</summary>
internal static class Html
{
    private const string Resource = "RegCache.Lab.Encoders.Text.html5-names.txt";
    private const int MaxNameLength = 32;

    // Windows-1252's characters at 0x80..0x9F, which numeric references there mean; 0 keeps the control character.
    private static readonly char[] Windows1252 =
    [
        '\u20AC', '\0', '\u201A', '\u0192', '\u201E', '\u2026', '\u2020', '\u2021', '\u02C6', '\u2030', '\u0160', '\u2039', '\u0152', '\0', '\u017D', '\0',
        '\0', '\u2018', '\u2019', '\u201C', '\u201D', '\u2022', '\u2013', '\u2014', '\u02DC', '\u2122', '\u0161', '\u203A', '\u0153', '\0', '\u017E', '\u0178',
    ];

    private static readonly Lazy<Dictionary<string, string>> Names = new(ReadNames);

    private static Dictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> Lookup =>
        Names.Value.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Replaces all references, also those without a final semicolon where the standard allows it.</summary>
    public static string Unescape(string text) => Replace(text, Expand);

    /// <summary>Replaces only complete references: those that end with a semicolon.</summary>
    public static string UnescapeComplete(string text) => Replace(text, ExpandComplete);

    private static string Replace(string text, ReferenceExpander expand)
    {
        var ampersand = text.IndexOf('&', StringComparison.Ordinal);
        if (ampersand < 0)
        {
            return text;
        }

        var result = new StringBuilder(text.Length);
        var copied = 0;
        while (ampersand >= 0)
        {
            result.Append(text, copied, ampersand - copied);
            copied = ampersand;
            var length = expand(text.AsSpan(ampersand), result);
            copied += length;
            ampersand = text.IndexOf('&', Math.Max(copied, ampersand + 1));
        }

        return result.Append(text, copied, text.Length - copied).ToString();
    }

    // Appends what the reference at the start of the text stands for and returns how much of the text it takes; 0 if none.
    private static int Expand(ReadOnlySpan<char> text, StringBuilder result)
    {
        if (text.StartsWith("&#"))
        {
            return ExpandNumber(text, result);
        }

        var length = 1;
        while (length < text.Length && length <= MaxNameLength && !"\t\n\f <&#;".Contains(text[length]))
        {
            length++;
        }

        if (length < text.Length && text[length] == ';')
        {
            length++;
        }

        // The longest known name wins, so that "&notit;" is "¬it;".
        for (; length > 1; length--)
        {
            if (Lookup.TryGetValue(text[1..length], out var value))
            {
                result.Append(value);
                return length;
            }
        }

        return 0;
    }

    private static int ExpandComplete(ReadOnlySpan<char> text, StringBuilder result)
    {
        var end = text.IndexOf(';');
        if (end is < 2 or > MaxNameLength)
        {
            return 0;
        }

        var value = new StringBuilder();
        if (text[1] == '#')
        {
            // A reference to the semicolon itself is left to the later, full step.
            if (ExpandNumber(text, value) != end + 1 || value.ToString() == ";")
            {
                return 0;
            }
        }
        else if (Lookup.TryGetValue(text[1..(end + 1)], out var named))
        {
            value.Append(named);
        }
        else
        {
            return 0;
        }

        result.Append(value);
        return end + 1;
    }

    private static int ExpandNumber(ReadOnlySpan<char> text, StringBuilder result)
    {
        var hexadecimal = text.Length > 2 && text[2] is 'x' or 'X';
        var first = hexadecimal ? 3 : 2;
        var (end, code) = (first, 0);
        for (; end < text.Length && Digit(text[end], hexadecimal) is >= 0 and var digit; end++)
        {
            // Once beyond Unicode it stays there.
            code = code > 0x10FFFF ? code : (code * (hexadecimal ? 16 : 10)) + digit;
        }

        if (end == first)
        {
            return 0;
        }

        AppendCodePoint(code, result);
        return end < text.Length && text[end] == ';' ? end + 1 : end;
    }

    private static int Digit(char character, bool hexadecimal) => character switch
    {
        >= '0' and <= '9' => character - '0',
        >= 'a' and <= 'f' when hexadecimal => character - 'a' + 10,
        >= 'A' and <= 'F' when hexadecimal => character - 'A' + 10,
        _ => -1,
    };

    private static void AppendCodePoint(int code, StringBuilder result)
    {
        switch (code)
        {
            case 0 or (>= 0xD800 and <= 0xDFFF) or > 0x10FFFF:
                result.Append('\uFFFD');
                break;
            case '\r':
                result.Append('\r');
                break;
            case >= 0x80 and <= 0x9F:
                result.Append(Windows1252[code - 0x80] is not '\0' and var mapped ? mapped : (char)code);
                break;
            case (>= 1 and <= 8) or 0xB or (>= 0xE and <= 0x1F) or 0x7F or (>= 0xFDD0 and <= 0xFDEF):
                break;
            case var other when (other & 0xFFFE) == 0xFFFE:
                break;
            default:
                result.Append(new Rune(code).ToString());
                break;
        }
    }

    private static Dictionary<string, string> ReadNames()
    {
        using var stream = typeof(Html).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"The resource {Resource} is missing.");
        using var reader = new StreamReader(stream);
        var names = new Dictionary<string, string>();
        reader.ReadLine();
        while (reader.ReadLine() is { } line)
        {
            var fields = line.Split(' ');
            var value = string.Concat(fields.Skip(1).Select(code => new Rune(int.Parse(code, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToString()));
            var name = fields[0].TrimEnd('*');
            names[name + ';'] = value;
            if (name.Length < fields[0].Length)
            {
                names[name] = value;
            }
        }

        return names;
    }

    private delegate int ReferenceExpander(ReadOnlySpan<char> text, StringBuilder result);
}
