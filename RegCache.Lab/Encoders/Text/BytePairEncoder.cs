using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace RegCache.Lab.Encoders.Text;

/// <summary>
/// Encodes one piece of text by merging byte tokens, lowest rank first (Sennrich et al. 2016, arXiv:1508.07909, section 3.2).
/// </summary>
internal sealed class BytePairEncoder
{
    private const int MaxCachedLength = 64;
    private const int MaxCachedPieces = 1 << 17;
    private const int NoMerge = int.MaxValue;
    private const int Stale = -1;

    private readonly Vocabulary _vocabulary;
    private readonly int[] _inner = new int[256];
    private readonly int[] _final = new int[256];
    private readonly ConcurrentDictionary<string, int[]> _cache = new();
    private readonly ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> _lookup;

    public BytePairEncoder(Vocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _lookup = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var value = 0; value < 256; value++)
        {
            var character = ByteCharacters.OfByte[value].ToString();
            _inner[value] = vocabulary.Id(character);
            _final[value] = vocabulary.Id(character + Vocabulary.WordEnd);
        }
    }

    public ReadOnlySpan<int> Encode(ReadOnlySpan<char> piece)
    {
        if (_lookup.TryGetValue(piece, out var known))
        {
            return known;
        }

        var ids = Merge(Symbols(piece));
        if (piece.Length <= MaxCachedLength && _cache.Count < MaxCachedPieces)
        {
            _lookup.TryAdd(piece, ids);
        }

        return ids;
    }

    private int[] Symbols(ReadOnlySpan<char> piece)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(piece)];
        Encoding.UTF8.GetBytes(piece, bytes);
        var symbols = Array.ConvertAll(bytes, value => _inner[value]);
        symbols[^1] = _final[bytes[^1]];
        return symbols;
    }

    // Each round merges all occurrences of the pair of lowest rank, left to right. ranks[i] is that of symbols i and
    // i + 1; from round to round only those beside a merged pair change.
    private int[] Merge(int[] symbols)
    {
        var count = symbols.Length;
        var ranks = new int[count];
        Array.Fill(ranks, Stale);
        while (true)
        {
            var lowest = NoMerge;
            for (var index = 0; index + 1 < count; index++)
            {
                if (ranks[index] == Stale || ranks[index + 1] == Stale)
                {
                    ranks[index] = _vocabulary.TryMerge(symbols[index], symbols[index + 1], out var merge) ? merge.Rank : NoMerge;
                }

                lowest = Math.Min(lowest, ranks[index]);
            }

            if (lowest == NoMerge)
            {
                return symbols[..count];
            }

            ranks[count - 1] = NoMerge;
            count = MergePairs(symbols, ranks, count, lowest);
        }
    }

    private int MergePairs(int[] symbols, int[] ranks, int count, int rank)
    {
        var write = 0;
        for (var read = 0; read < count; read++, write++)
        {
            (symbols[write], ranks[write]) = (symbols[read], ranks[read]);
            if (ranks[read] == rank && _vocabulary.TryMerge(symbols[read], symbols[read + 1], out var merge))
            {
                (symbols[write], ranks[write]) = (merge.Merged, Stale);
                read++;
            }
        }

        return write;
    }
}

/// <summary>
/// The printable characters that stand for bytes in the vocabulary: printable Latin-1 characters
/// for themselves, U+0100 and up for the rest.
/// </summary>
internal static class ByteCharacters
{
    /// <summary>Byte to character.</summary>
    public static char[] OfByte { get; } = new char[256];

    /// <summary>The characters in vocabulary order: those that stand for themselves come first.</summary>
    public static string InOrder { get; } = MakeTable();

    /// <summary>Character to byte, or -1.</summary>
    public static int ToByte(char character) => Array.IndexOf(OfByte, character);

    private static string MakeTable()
    {
        var plain = Enumerable.Range(0, 256).Where(IsPlain).ToList();
        var others = Enumerable.Range(0, 256).Where(value => !IsPlain(value)).ToList();
        plain.ForEach(value => OfByte[value] = (char)value);
        for (var index = 0; index < others.Count; index++)
        {
            OfByte[others[index]] = (char)(256 + index);
        }

        return string.Concat(plain.Concat(others).Select(value => OfByte[value]));
    }

    private static bool IsPlain(int value) => value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
}

/// <summary>
/// Splits clean text into the pieces that are encoded on their own. Works on code points.
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
