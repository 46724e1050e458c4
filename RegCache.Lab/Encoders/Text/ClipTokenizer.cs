using System.Text;

namespace RegCache.Lab.Encoders.Text;

/// <summary>
/// CLIP's byte-pair tokenizer (clip.md, section 12). Safe to use from several threads.
/// </summary>
public sealed class ClipTokenizer : ITokenizer
{
    private readonly TokenizerOptions _options;
    private readonly BytePairEncoder _encoder;
    private readonly string[] _specialTokens;

    /// <summary>Creates a tokenizer.</summary>
    /// <exception cref="UserException">The options do not fit the vocabulary.</exception>
    public ClipTokenizer(Vocabulary vocabulary, TokenizerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(vocabulary);
        Vocabulary = vocabulary;
        _options = options ?? new TokenizerOptions();
        if (_options.ContextLength < 2)
        {
            throw new UserException($"A text needs a context of at least 2 tokens, not {_options.ContextLength}.");
        }

        if (_options.PadId < 0 || _options.PadId >= vocabulary.Count)
        {
            throw new UserException($"The pad id {_options.PadId} is outside the vocabulary of {vocabulary.Count} tokens in {vocabulary.Source}.");
        }

        _encoder = new BytePairEncoder(vocabulary);
        _specialTokens = _options.Cleaning == TextCleaning.HuggingFace
            ? [VocabularyReader.HuggingFaceStartToken, VocabularyReader.HuggingFaceEndToken]
            : [VocabularyReader.StartToken, VocabularyReader.EndToken];
    }

    /// <summary>The vocabulary.</summary>
    public Vocabulary Vocabulary { get; }

    /// <inheritdoc />
    public int ContextLength => _options.ContextLength;

    /// <summary>Reads the vocabulary of a file or folder (see <see cref="Text.Vocabulary.Load"/>) and creates a tokenizer.</summary>
    /// <exception cref="UserException">There is no vocabulary, it is damaged, or the options do not fit it.</exception>
    public static ClipTokenizer Load(string path, TokenizerOptions? options = null) => new(Vocabulary.Load(path), options);

    /// <summary>The text as it is split into tokens.</summary>
    public string Clean(string text) => TextCleaner.Clean(text, _options.Cleaning, _options.FixText);

    /// <summary>All tokens of a text, without the start and end tokens.</summary>
    public IReadOnlyList<int> Encode(string text)
    {
        var clean = Clean(text);
        var ids = new List<int>();
        foreach (var range in PreTokenizer.Split(clean, _options.EscapeSpecialTokens ? [] : _specialTokens))
        {
            var piece = clean.AsSpan(range);
            if (!_options.EscapeSpecialTokens && piece.SequenceEqual(_specialTokens[0]))
            {
                ids.Add(Vocabulary.StartId);
            }
            else if (!_options.EscapeSpecialTokens && piece.SequenceEqual(_specialTokens[1]))
            {
                ids.Add(Vocabulary.EndId);
            }
            else
            {
                ids.AddRange(_encoder.Encode(piece));
            }
        }

        return ids;
    }

    /// <summary>A text as model input: start token, tokens, end token, padding.</summary>
    /// <param name="text">The text.</param>
    /// <param name="reduction">What happens to too long a text.</param>
    /// <param name="random">The source of randomness, for every reduction but truncating.</param>
    /// <returns><see cref="ContextLength"/> ids.</returns>
    public long[] EncodeToContext(string text, TokenReduction reduction = TokenReduction.Truncate, Random? random = null)
    {
        var ids = new long[ContextLength];
        Fill(ids, Reduce(Encode(text), reduction, random));
        return ids;
    }

    /// <inheritdoc />
    public long[] EncodeBatch(IReadOnlyList<string> texts)
    {
        ArgumentNullException.ThrowIfNull(texts);
        var ids = new long[texts.Count * ContextLength];
        for (var row = 0; row < texts.Count; row++)
        {
            Fill(ids.AsSpan(row * ContextLength, ContextLength), Encode(texts[row]));
        }

        return ids;
    }

    /// <summary>The text of tokens: words are followed by a space, and bytes that are no UTF-8 become U+FFFD.</summary>
    /// <exception cref="UserException">An id is outside the vocabulary.</exception>
    public string Decode(IEnumerable<long> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var bytes = new List<byte>();
        foreach (var id in ids)
        {
            if (id < 0 || id >= Vocabulary.Count)
            {
                throw new UserException($"The token id {id} is outside the vocabulary of {Vocabulary.Count} tokens in {Vocabulary.Source}.");
            }

            foreach (var character in Vocabulary.Tokens[(int)id])
            {
                if (ByteCharacters.ToByte(character) is >= 0 and var value)
                {
                    bytes.Add((byte)value);
                }
            }
        }

        return Encoding.UTF8.GetString([.. bytes]).Replace(Vocabulary.WordEnd, " ", StringComparison.Ordinal);
    }

    private IReadOnlyList<int> Reduce(IReadOnlyList<int> tokens, TokenReduction reduction, Random? random)
    {
        var room = ContextLength - 2;
        if (reduction == TokenReduction.Truncate || tokens.Count <= room)
        {
            return tokens;
        }

        ArgumentNullException.ThrowIfNull(random);
        if (reduction == TokenReduction.Block)
        {
            return [.. tokens.Skip(random.Next(tokens.Count - room + 1)).Take(room)];
        }

        var places = Enumerable.Range(0, tokens.Count).ToArray();
        random.Shuffle(places);
        var kept = places.AsSpan(0, room);
        if (reduction == TokenReduction.Subset)
        {
            kept.Sort();
        }

        return Array.ConvertAll(kept.ToArray(), place => tokens[place]);
    }

    private void Fill(Span<long> row, IReadOnlyList<int> tokens)
    {
        row.Fill(_options.PadId);
        row[0] = Vocabulary.StartId;
        var count = Math.Min(tokens.Count, row.Length - 2);
        for (var index = 0; index < count; index++)
        {
            row[index + 1] = tokens[index];
        }

        row[count + 1] = Vocabulary.EndId;
    }
}
