namespace RegCache.Lab.Encoders.Text;

/// <summary>
/// CLIP's byte-pair vocabulary: token strings, their ids, and which pairs of tokens merge in which order. Tokens at the
/// end of a word end with "&lt;/w&gt;".
/// </summary>
public sealed class Vocabulary
{
    /// <summary>What the last symbol of a word carries.</summary>
    public const string WordEnd = "</w>";

    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<(int Left, int Right), (int Rank, int Merged)> _merges = [];

    internal Vocabulary(
        string source, Dictionary<string, int> ids, IEnumerable<(string Left, string Right)> merges, string startToken, string endToken)
    {
        Source = source;
        _ids = ids;
        Tokens = ByIds();
        StartId = Id(startToken);
        EndId = Id(endToken);
        foreach (var (rank, (left, right)) in merges.Index())
        {
            // Of a pair listed twice the later rank counts, as upstream.
            _merges[(Id(left), Id(right))] = (rank, Id(left + right));
        }

        foreach (var character in ByteCharacters.InOrder)
        {
            Id(character.ToString());
            Id(character + WordEnd);
        }
    }

    /// <summary>The file or folder it was read from.</summary>
    public string Source { get; }

    /// <summary>The token strings by id.</summary>
    public IReadOnlyList<string> Tokens { get; }

    /// <summary>Number of tokens, the special ones included.</summary>
    public int Count => Tokens.Count;

    /// <summary>The id that begins every text.</summary>
    public int StartId { get; }

    /// <summary>The id that ends every text; in CLIP's vocabularies the largest.</summary>
    public int EndId { get; }

    /// <summary>
    /// Reads a vocabulary: OpenAI's merge list (<c>bpe_simple_vocab_16e6.txt.gz</c>, or the same unpacked), HuggingFace's
    /// <c>tokenizer.json</c> or <c>vocab.json</c> with <c>merges.txt</c> beside it, or a folder with any of these.
    /// </summary>
    /// <exception cref="UserException">Nothing of the kind is there, or a file is damaged.</exception>
    public static Vocabulary Load(string path) => VocabularyReader.Load(path);

    /// <summary>The id of a token.</summary>
    /// <exception cref="UserException">The vocabulary has no such token.</exception>
    public int Id(string token) =>
        _ids.TryGetValue(token, out var id) ? id : throw new UserException($"{Source} is no CLIP vocabulary: it lacks the token {token}.");

    /// <summary>The rank (low first) and result of merging two tokens, if they merge.</summary>
    internal bool TryMerge(int left, int right, out (int Rank, int Merged) merge) => _merges.TryGetValue((left, right), out merge);

    private string[] ByIds()
    {
        var tokens = new string?[_ids.Count];
        foreach (var (token, id) in _ids)
        {
            if (id < 0 || id >= tokens.Length || tokens[id] is not null)
            {
                throw new UserException($"{Source} is damaged: its token ids are not 0 to {tokens.Length - 1}, each once.");
            }

            tokens[id] = token;
        }

        return tokens!;
    }
}
