namespace RegCache.Lab.Pooling.Language;

/// <summary>
/// Finds a Unigram vocabulary for a text by expectation maximisation (Kudo 2018, arXiv:1804.10959, section 3.2): begin with frequent substrings of
/// words, estimate their probabilities over all ways to cut the words, drop those whose loss costs least, and repeat until the wanted size.
/// </summary>
/// <remarks>
/// As SentencePiece's trainer with the settings of the published vocabularies: pieces of at most 16 characters, within words, all characters covered.
/// The pieces that the two find are not the same one by one, because SentencePiece breaks ties by its own order.
/// </remarks>
/// <param name="size">Pieces wanted; at least one more than there are characters.</param>
public sealed class UnigramTrainer(int size)
{
    private const int LongestPiece = 16;
    private const int SeedsPerPiece = 20;
    private const int Passes = 2;
    private const double KeptShare = 0.75;
    private const double Spare = 1.1;
    private const double LeastCount = 0.5;

    /// <summary>Trains on the words of a text.</summary>
    /// <param name="vocabulary">The symbols.</param>
    /// <param name="text">Numbers of symbols.</param>
    /// <param name="cancellation">Stops between two passes.</param>
    /// <exception cref="UserException">The size is too small for the characters.</exception>
    public UnigramModel Train(CharVocabulary vocabulary, byte[] text, CancellationToken cancellation = default)
    {
        var words = Words(vocabulary, text);
        var characters = words.Keys.SelectMany(word => word).Distinct().Order().Select(character => $"{character}").ToHashSet(StringComparer.Ordinal);
        if (size <= characters.Count)
        {
            throw new UserException($"A Unigram vocabulary of {size} pieces is too small for {characters.Count} characters; ask for more pieces.");
        }

        var logs = Seeds(words, characters);
        while (true)
        {
            for (var pass = 0; pass < Passes; pass++)
            {
                cancellation.ThrowIfCancellationRequested();
                logs = Estimate(logs, words, characters);
            }

            var wanted = (int)(size * Spare);
            if (logs.Count <= wanted)
            {
                break;
            }

            logs = Prune(logs, words, characters, Math.Max(wanted, (int)(logs.Count * KeptShare)));
        }

        var pieces = logs.OrderByDescending(piece => piece.Value).ThenBy(piece => piece.Key, StringComparer.Ordinal).ToList();
        var kept = pieces.Where(piece => characters.Contains(piece.Key)).Concat(pieces.Where(piece => !characters.Contains(piece.Key))).Take(size);
        return new([.. kept.OrderByDescending(piece => piece.Value).ThenBy(piece => piece.Key, StringComparer.Ordinal).Select(piece => new UnigramPiece(piece.Key, (float)piece.Value))]);
    }

    private static Dictionary<string, long> Words(CharVocabulary vocabulary, byte[] text)
    {
        var words = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var word in vocabulary.Decode(text).Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var marked = UnigramModel.Mark + word;
            words[marked] = words.GetValueOrDefault(marked) + 1;
        }

        return words;
    }

    // The substrings that cover most characters, with their shares as first probabilities.
    private Dictionary<string, double> Seeds(Dictionary<string, long> words, HashSet<string> characters)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var (word, count) in words)
        {
            for (var start = 0; start < word.Length; start++)
            {
                for (var end = start + 1; end <= Math.Min(word.Length, start + LongestPiece); end++)
                {
                    var piece = word[start..end];
                    counts[piece] = counts.GetValueOrDefault(piece) + count;
                }
            }
        }

        var chosen = counts.Where(pair => characters.Contains(pair.Key))
            .Concat(counts.Where(pair => pair.Key.Length > 1 && pair.Value > 1)
                .OrderByDescending(pair => pair.Value * pair.Key.Length).ThenBy(pair => pair.Key, StringComparer.Ordinal)
                .Take(size * SeedsPerPiece))
            .ToList();
        var total = chosen.Sum(pair => (double)pair.Value * pair.Key.Length);
        return chosen.ToDictionary(pair => pair.Key, pair => Math.Log(pair.Value * pair.Key.Length / total), StringComparer.Ordinal);
    }

    // One pass of expectation maximisation: expected counts by forward and backward sums, then the digamma of a Dirichlet posterior, which thins rare pieces.
    private static Dictionary<string, double> Estimate(Dictionary<string, double> logs, Dictionary<string, long> words, HashSet<string> characters)
    {
        var expected = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var (word, count) in words)
        {
            var arcs = Arcs(word, logs);
            var (forward, backward) = (Sums(word.Length, arcs), Sums(word.Length, [.. arcs.Select(arc => (word.Length - arc.End, word.Length - arc.Start, arc.Log))]));
            foreach (var (start, end, log) in arcs)
            {
                var share = count * Math.Exp(forward[start] + log + backward[word.Length - end] - forward[word.Length]);
                var piece = word[start..end];
                expected[piece] = expected.GetValueOrDefault(piece) + share;
            }
        }

        var kept = expected.Where(pair => pair.Value >= LeastCount || characters.Contains(pair.Key)).ToList();
        var total = Digamma(kept.Sum(pair => Math.Max(pair.Value, LeastCount)));
        return kept.ToDictionary(pair => pair.Key, pair => Digamma(Math.Max(pair.Value, LeastCount)) - total, StringComparer.Ordinal);
    }

    // Drops the pieces whose words lose least likelihood when they are spelled by the others.
    private static Dictionary<string, double> Prune(Dictionary<string, double> logs, Dictionary<string, long> words, HashSet<string> characters, int count)
    {
        var used = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var (word, times) in words)
        {
            foreach (var piece in Best(word, logs, without: null).Pieces)
            {
                used[piece] = used.GetValueOrDefault(piece) + times;
            }
        }

        double Loss(string piece, double log) =>
            used.GetValueOrDefault(piece) is var times and > 0 ? times * (log - Best(piece, logs, without: piece).Log) : 0;
        return logs.Where(pair => characters.Contains(pair.Key))
            .Concat(logs.Where(pair => !characters.Contains(pair.Key))
                .OrderByDescending(pair => Loss(pair.Key, pair.Value)).ThenBy(pair => pair.Key, StringComparer.Ordinal)
                .Take(count - characters.Count))
            .ToDictionary(StringComparer.Ordinal);
    }

    private static (double Log, List<string> Pieces) Best(string word, Dictionary<string, double> logs, string? without)
    {
        var (best, from) = (new double[word.Length + 1], new int[word.Length + 1]);
        Array.Fill(best, double.NegativeInfinity);
        best[0] = 0;
        foreach (var (start, end, log) in Arcs(word, logs))
        {
            if (best[start] + log > best[end] && !(without is not null && start == 0 && end == word.Length))
            {
                (best[end], from[end]) = (best[start] + log, start);
            }
        }

        var pieces = new List<string>();
        for (var end = word.Length; end > 0; end = from[end])
        {
            pieces.Add(word[from[end]..end]);
        }

        return (best[word.Length], pieces);
    }

    // All pieces in a word, by their ends.
    private static List<(int Start, int End, double Log)> Arcs(string word, Dictionary<string, double> logs)
    {
        var lookup = logs.GetAlternateLookup<ReadOnlySpan<char>>();
        var arcs = new List<(int, int, double)>();
        for (var end = 1; end <= word.Length; end++)
        {
            for (var start = Math.Max(0, end - LongestPiece); start < end; start++)
            {
                if (lookup.TryGetValue(word.AsSpan(start, end - start), out var log))
                {
                    arcs.Add((start, end, log));
                }
            }
        }

        return arcs;
    }

    // Logarithm of the summed probabilities of all ways to every position.
    private static double[] Sums(int length, List<(int Start, int End, double Log)> arcs)
    {
        var sums = new double[length + 1];
        Array.Fill(sums, double.NegativeInfinity);
        sums[0] = 0;
        foreach (var (start, end, log) in arcs.OrderBy(arc => arc.End))
        {
            var (high, low) = (Math.Max(sums[end], sums[start] + log), Math.Min(sums[end], sums[start] + log));
            sums[end] = double.IsNegativeInfinity(high) ? high : high + Math.Log(1 + Math.Exp(low - high));
        }

        return sums;
    }

    // Recurrence up to 6, then the asymptotic series.
    private static double Digamma(double value)
    {
        var result = 0.0;
        for (; value < 6; value++)
        {
            result -= 1 / value;
        }

        var square = 1 / (value * value);
        return result + Math.Log(value) - (0.5 / value) - (square * ((1.0 / 12) - (square * ((1.0 / 120) - (square / 252)))));
    }
}
