using System.IO.Compression;
using System.Text;
using System.Text.Json;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

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

/// <summary>Reads the layouts in which CLIP's vocabulary is published.</summary>
internal static class VocabularyReader
{
    public const string StartToken = "<start_of_text>";
    public const string EndToken = "<end_of_text>";
    public const string HuggingFaceStartToken = "<|startoftext|>";
    public const string HuggingFaceEndToken = "<|endoftext|>";

    // CLIP uses as many merges as fill 49152 ids beside the 512 byte tokens; the published file is longer.
    private const int MaxMerges = 49152 - 256 - 2;
    private const int MaxFileBytes = 64 << 20;

    public static Vocabulary Load(string path)
    {
        if (!Directory.Exists(path))
        {
            return Path.GetExtension(path) == ".json" ? LoadJson(path) : LoadMergeList(path);
        }

        return Find(path) is { } found ? Load(found) : throw Missing(path);
    }

    /// <summary>The vocabulary file in a folder, or null.</summary>
    public static string? Find(string folder)
    {
        var mergeList = Directory.EnumerateFiles(folder, "bpe*.txt*").Order(StringComparer.Ordinal).FirstOrDefault();
        string[] json = [Path.Combine(folder, "tokenizer.json"), Path.Combine(folder, "vocab.json")];
        return mergeList ?? json.FirstOrDefault(File.Exists);
    }

    public static UserException Missing(string folder) => new(
        $"{folder} has no tokenizer vocabulary; put bpe_simple_vocab_16e6.txt.gz from the OpenCLIP repository, or tokenizer.json or vocab.json with merges.txt of a HuggingFace CLIP model, into that folder.");

    private static Vocabulary LoadMergeList(string path)
    {
        var merges = Merges(path, ReadText(path).Split('\n').Skip(1).Take(MaxMerges)).ToList();
        var bytes = ByteCharacters.InOrder.Select(character => character.ToString()).ToList();
        var ids = new Dictionary<string, int>();
        IEnumerable<string> tokens =
        [
            .. bytes,
            .. bytes.Select(character => character + Vocabulary.WordEnd),
            .. merges.Select(pair => pair.Left + pair.Right),
            StartToken,
            EndToken,
        ];
        foreach (var token in tokens)
        {
            if (!ids.TryAdd(token, ids.Count))
            {
                throw new UserException($"{path} is damaged: two of its merges make the token {token}.");
            }
        }

        return new Vocabulary(path, ids, merges, StartToken, EndToken);
    }

    private static Vocabulary LoadJson(string path)
    {
        var json = JsonFields.ReadFile(path);
        if (json.ValueKind == JsonValueKind.Object && json.TryGetProperty("model", out _))
        {
            return LoadTokenizerJson(path, json);
        }

        var mergesPath = Path.Combine(Path.GetDirectoryName(path) ?? string.Empty, "merges.txt");
        if (!File.Exists(mergesPath))
        {
            throw new UserException($"{path} needs the file merges.txt beside it; take both from the HuggingFace CLIP model.");
        }

        var lines = ReadText(mergesPath).Split('\n');
        var merges = Merges(mergesPath, lines[0].StartsWith("#version", StringComparison.Ordinal) ? lines.Skip(1) : lines);
        return new Vocabulary(path, Ids(json, path), merges.ToList(), HuggingFaceStartToken, HuggingFaceEndToken);
    }

    private static Vocabulary LoadTokenizerJson(string path, JsonElement json)
    {
        var model = new JsonFields(json, path).RequiredObject("model");
        if (model.Text("type") is { } type and not "BPE")
        {
            throw model.Wrong("type", $"must be \"BPE\", not \"{type}\"");
        }

        if (model.Text("end_of_word_suffix") != Vocabulary.WordEnd)
        {
            throw model.Wrong("end_of_word_suffix", $"must be \"{Vocabulary.WordEnd}\", as in CLIP's tokenizers");
        }

        var ids = Ids(model.Get("vocab") ?? throw model.Wrong("vocab", "is missing"), path);
        foreach (var added in Items(json, "added_tokens"))
        {
            var fields = new JsonFields(added, path, "added_tokens.");
            ids[fields.Text("content") ?? throw fields.Wrong("content", "is missing")] = fields.Int("id", -1, minimum: 0);
        }

        var merges = Items(json.GetProperty("model"), "merges").Select(pair => Pair(pair, model)).ToList();
        return new Vocabulary(path, ids, merges, HuggingFaceStartToken, HuggingFaceEndToken);
    }

    private static JsonElement[] Items(JsonElement json, string name) =>
        json.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray()] : [];

    private static (string Left, string Right) Pair(JsonElement pair, JsonFields model) => pair.ValueKind switch
    {
        JsonValueKind.String when pair.GetString()!.Split(' ') is [var left, var right] => (left, right),
        JsonValueKind.Array when pair.GetArrayLength() == 2 && pair[0].ValueKind == JsonValueKind.String && pair[1].ValueKind == JsonValueKind.String =>
            (pair[0].GetString()!, pair[1].GetString()!),
        _ => throw model.Wrong("merges", "must hold pairs of tokens"),
    };

    private static Dictionary<string, int> Ids(JsonElement vocabulary, string path)
    {
        var ids = new Dictionary<string, int>();
        if (vocabulary.ValueKind != JsonValueKind.Object)
        {
            throw new UserException($"{path} is no vocabulary: it is not an object of tokens and ids.");
        }

        foreach (var token in vocabulary.EnumerateObject())
        {
            if (token.Value.ValueKind != JsonValueKind.Number || !token.Value.TryGetInt32(out var id) || !ids.TryAdd(token.Name, id))
            {
                throw new UserException($"{path} is damaged: the token {token.Name} has no whole number as id, or occurs twice.");
            }
        }

        return ids;
    }

    private static IEnumerable<(string Left, string Right)> Merges(string path, IEnumerable<string> lines)
    {
        foreach (var line in lines)
        {
            var merge = line.TrimEnd('\r');
            if (merge.Length > 0)
            {
                yield return merge.Split(' ') is [{ Length: > 0 } left, { Length: > 0 } right]
                    ? (left, right)
                    : throw new UserException($"{path} is no merge list: the line \"{merge[..Math.Min(merge.Length, 40)]}\" is not a pair of tokens.");
            }
        }
    }

    private static string ReadText(string path)
    {
        try
        {
            using var file = new MemoryStream(SmallFile.Read(path, MaxFileBytes, "a vocabulary"));
            var isPacked = file.ReadByte() == 0x1f && file.ReadByte() == 0x8b;
            file.Position = 0;
            using Stream stream = isPacked ? new GZipStream(file, CompressionMode.Decompress) : file;

            // A packed file of a few kilobytes may unfold to any length.
            var content = new MemoryStream();
            var buffer = new byte[1 << 16];
            for (int count; (count = stream.Read(buffer)) > 0;)
            {
                content.Write(buffer, 0, count);
                if (content.Length > MaxFileBytes)
                {
                    throw new UserException($"{path} unfolds to more than {MaxFileBytes} bytes, too many for a vocabulary; check the path.");
                }
            }

            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(content.GetBuffer(), 0, (int)content.Length);
        }
        catch (Exception exception) when (exception is InvalidDataException or DecoderFallbackException)
        {
            throw new UserException($"{path} is damaged or no vocabulary: {exception.Message}", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The vocabulary {path} cannot be read");
        }
    }
}
