using System.Collections.Concurrent;
using System.Text;

namespace RegCache.Lab.Encoders.Text;

/// <summary>Encodes one piece of text by merging byte tokens, lowest rank first (clip.md, section 12.2, step 6).</summary>
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
