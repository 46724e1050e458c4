namespace RegCache.Lab.Pooling.Language;

/// <summary>What boundaries of a text are made with.</summary>
/// <param name="Vocabulary">The symbols.</param>
/// <param name="FixedFactor">Characters between two fixed boundaries.</param>
/// <param name="Unigram">The pieces of a Unigram tokenizer, or null.</param>
public sealed record TextBoundarySource(CharVocabulary Vocabulary, int FixedFactor, UnigramModel? Unigram);

/// <summary>Boundaries that a text says by itself. They are found once for the whole of a stream, before it is cut into chunks.</summary>
/// <param name="Of">The boundaries of a text of symbol numbers, one truth value a character.</param>
public sealed record TextBoundaries(Func<byte[], bool[]> Of)
{
    /// <summary>A boundary at positions 0, <paramref name="factor"/>, 2 <paramref name="factor"/>, ...: the first segment has one character.</summary>
    public static TextBoundaries Fixed(int factor) => new(text => [.. Enumerable.Range(0, text.Length).Select(position => position % factor == 0)]);

    /// <summary>A boundary at every space, which closes the word before it.</summary>
    public static TextBoundaries Whitespaces(CharVocabulary vocabulary)
    {
        var space = vocabulary.Find(' ');
        return new(text => Array.ConvertAll(text, symbol => symbol == space));
    }

    /// <summary>
    /// A boundary at the last character of every piece of a word; the last piece of a word is closed by the space behind it, and the text's last piece
    /// by nothing.
    /// </summary>
    /// <remarks>Upstream's are one character late inside the first word of a stream; these are not.</remarks>
    public static TextBoundaries Unigram(CharVocabulary vocabulary, UnigramModel model)
    {
        var space = vocabulary.Find(' ');
        var known = new Dictionary<string, int[]>();
        return new(text =>
        {
            var marks = new bool[text.Length];
            var start = 0;
            while (start <= text.Length)
            {
                var end = Array.IndexOf(text, space, start);
                var last = end < 0 ? text.Length : end;
                var word = vocabulary.Decode(text.AsSpan(start, last - start));
                if (!known.TryGetValue(word, out var ends))
                {
                    known[word] = ends = Ends(model, word);
                }

                foreach (var offset in ends)
                {
                    marks[start + offset] = true;
                }

                if (end < 0)
                {
                    break;
                }

                marks[end] = true;
                start = end + 1;
            }

            return marks;
        });
    }

    // Offsets of the last characters of all pieces of a word but the last. The prefix mark is no character of the word.
    private static int[] Ends(UnigramModel model, string word)
    {
        if (word.Length == 0)
        {
            return [];
        }

        var ends = new List<int>();
        var position = -1;
        foreach (var piece in model.Segment(word))
        {
            position += piece.Length;
            ends.Add(position - 1);
        }

        return [.. ends.SkipLast(1).Where(offset => offset >= 0)];
    }
}
