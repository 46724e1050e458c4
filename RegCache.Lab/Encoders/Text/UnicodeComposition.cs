using System.Globalization;
using System.Text;

namespace RegCache.Lab.Encoders.Text;

/// <summary>
/// Unicode's normalisation form NFC (Unicode Standard Annex 15) from tables of our own: .NET's is ICU's, which is absent
/// on small systems, where .NET then returns the text unchanged.
/// </summary>
internal static class UnicodeComposition
{
    private const string Resource = "RegCache.Lab.Encoders.Text.unicode-composition.txt";

    // Everything below is composed already.
    private const char FirstAffected = '\u0300';

    // Hangul syllables are composed by arithmetic.
    private const int SyllableBase = 0xAC00;
    private const int LeadBase = 0x1100;
    private const int VowelBase = 0x1161;
    private const int TrailBase = 0x11A7;
    private const int Leads = 19;
    private const int Vowels = 21;
    private const int Trails = 28;
    private const int Syllables = Leads * Vowels * Trails;

    private static readonly Lazy<Tables> Data = new(ReadTables);

    /// <summary>The text in form NFC. Halves of surrogate pairs become U+FFFD.</summary>
    public static string Compose(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange(FirstAffected, char.MaxValue))
        {
            return text;
        }

        var codes = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            Decompose(rune.Value, codes);
        }

        Order(codes);
        var result = new StringBuilder(text.Length);
        foreach (var code in Recompose(codes))
        {
            result.Append(new Rune(code).ToString());
        }

        return result.ToString();
    }

    /// <summary>What a half- or full-width form (U+FF01 to U+FFEF) stands for, or null.</summary>
    public static string? Widen(char character) => Data.Value.Widths.GetValueOrDefault(character);

    private static void Decompose(int code, List<int> result)
    {
        var syllable = code - SyllableBase;
        if (syllable is >= 0 and < Syllables)
        {
            result.Add(LeadBase + (syllable / (Vowels * Trails)));
            result.Add(VowelBase + (syllable / Trails % Vowels));
            if (syllable % Trails != 0)
            {
                result.Add(TrailBase + (syllable % Trails));
            }
        }
        else if (Data.Value.Decompositions.TryGetValue(code, out var parts))
        {
            Array.ForEach(parts, part => Decompose(part, result));
        }
        else
        {
            result.Add(code);
        }
    }

    // A stable sort of every run of combining marks by class.
    private static void Order(List<int> codes)
    {
        for (var index = 1; index < codes.Count; index++)
        {
            var moving = codes[index];
            var kind = CombiningClass(moving);
            var place = index;
            while (kind != 0 && place > 0 && CombiningClass(codes[place - 1]) > kind)
            {
                codes[place] = codes[--place];
            }

            codes[place] = moving;
        }
    }

    private static List<int> Recompose(List<int> codes)
    {
        var result = new List<int>(codes.Count);
        var starter = -1;
        var lastClass = 0;
        foreach (var code in codes)
        {
            var kind = CombiningClass(code);

            // A mark is blocked from the starter by one of its own class or, for a starter, by any mark between.
            var adjacent = starter == result.Count - 1;
            if (starter >= 0 && (adjacent || (lastClass != 0 && lastClass < kind)) && Pair(result[starter], code) is { } composed)
            {
                result[starter] = composed;
                continue;
            }

            if (kind == 0)
            {
                starter = result.Count;
            }

            lastClass = kind;
            result.Add(code);
        }

        return result;
    }

    private static int? Pair(int first, int second)
    {
        var (lead, vowel) = (first - LeadBase, second - VowelBase);
        if (lead is >= 0 and < Leads && vowel is >= 0 and < Vowels)
        {
            return SyllableBase + (((lead * Vowels) + vowel) * Trails);
        }

        var (syllable, trail) = (first - SyllableBase, second - TrailBase);
        if (syllable is >= 0 and < Syllables && syllable % Trails == 0 && trail is > 0 and < Trails)
        {
            return first + trail;
        }

        return Data.Value.Compositions.TryGetValue((first, second), out var composed) ? composed : null;
    }

    private static int CombiningClass(int code) => code < FirstAffected ? 0 : Data.Value.Classes.GetValueOrDefault(code);

    private static Tables ReadTables()
    {
        var tables = new Tables([], [], [], []);
        using var stream = typeof(UnicodeComposition).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"The resource {Resource} is missing.");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            var sign = line.AsSpan().IndexOfAny("+-:~#");
            if (line[sign] != '#')
            {
                AddLine(tables, line[..sign], line[sign], line[(sign + 1)..]);
            }
        }

        return tables;
    }

    private static void AddLine(Tables tables, string left, char sign, string right)
    {
        if (sign == ':')
        {
            var bounds = Array.ConvertAll(left.Split(".."), Hex);
            for (var code = bounds[0]; code <= bounds[^1]; code++)
            {
                tables.Classes[code] = int.Parse(right, CultureInfo.InvariantCulture);
            }

            return;
        }

        var parts = Array.ConvertAll(right.Split(' '), Hex);
        if (sign == '~')
        {
            tables.Widths[(char)Hex(left)] = string.Concat(parts.Select(part => new Rune(part).ToString()));
            return;
        }

        tables.Decompositions[Hex(left)] = parts;
        if (sign == '+')
        {
            tables.Compositions[(parts[0], parts[1])] = Hex(left);
        }
    }

    private static int Hex(string digits) => int.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private sealed record Tables(
        Dictionary<int, int[]> Decompositions,
        Dictionary<(int First, int Second), int> Compositions,
        Dictionary<int, int> Classes,
        Dictionary<char, string> Widths);
}
