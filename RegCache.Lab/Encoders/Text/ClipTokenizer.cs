using System.Text;

namespace RegCache.Lab.Encoders.Text;

/// <summary>Turns texts into the rows of ids that a text tower takes.</summary>
public interface ITokenizer
{
    /// <summary>Number of ids of every encoded text.</summary>
    int ContextLength { get; }

    /// <summary>Texts as model input.</summary>
    /// <returns>The ids [B, <see cref="ContextLength"/>] in C order.</returns>
    long[] EncodeBatch(IReadOnlyList<string> texts);

    /// <summary>Whether the token of an id is the last one of its word, or starts or ends a text.</summary>
    bool EndsWord(int id) => true;
}

/// <summary>How <see cref="ClipTokenizer"/> treats text.</summary>
public sealed record TokenizerOptions
{
    /// <summary>Number of ids of every encoded text.</summary>
    public int ContextLength { get; init; } = 77;

    /// <summary>The id that fills unused positions. OpenCLIP pads with 0, HuggingFace with the end token.</summary>
    public int PadId { get; init; }

    /// <summary>How text is cleaned.</summary>
    public TextCleaning Cleaning { get; init; } = TextCleaning.LowerCase;

    /// <summary>
    /// True to repair text first: ligatures, full-width forms, curly quotes, control characters, line breaks,
    /// composition. Upstream does it with the ftfy package where that is installed.
    /// </summary>
    public bool FixText { get; init; } = true;

    /// <summary>
    /// True to read the special tokens' strings in a text as plain text. Upstream turns them into the special ids,
    /// which moves the position whose output becomes the text feature.
    /// </summary>
    public bool EscapeSpecialTokens { get; init; }
}

/// <summary>
/// CLIP's byte-pair tokenizer (Radford et al. 2021, arXiv:2103.00020, section 2.4; docs/methods/clip.md). Safe to use from
/// several threads.
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

    /// <inheritdoc />
    public bool EndsWord(int id) =>
        id >= Vocabulary.Count || id == Vocabulary.StartId || id == Vocabulary.EndId || Vocabulary.Tokens[id].EndsWith(Vocabulary.WordEnd, StringComparison.Ordinal);

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

    /// <summary>
    /// Texts as model input: start token, tokens, end token, padding. Of too long a text the first tokens are kept.
    /// </summary>
    /// <returns>The ids [B, <see cref="ContextLength"/>] in C order.</returns>
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
