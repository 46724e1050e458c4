using System.Text.Json;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Encoders.Text;

/// <summary>
/// A tokenizer with one id a word. Id 0 fills unused positions, then come the words, <c>&lt;unk&gt;</c> for any other word, and
/// <c>&lt;eos&gt;</c>, which has the highest id because the text tower pools at the row's largest id.
/// </summary>
public sealed class WordTokenizer : ITokenizer
{
    /// <summary>The name of the file in a model folder.</summary>
    public const string FileName = "word_tokenizer.json";

    private const int LargestFile = 1 << 20;
    private readonly Dictionary<string, int> _ids;

    /// <summary>Creates the tokenizer.</summary>
    /// <param name="words">The words, lower-case letters only; word i has id i + 1.</param>
    /// <param name="contextLength">Number of ids in a row.</param>
    public WordTokenizer(IReadOnlyList<string> words, int contextLength)
    {
        (Words, ContextLength) = ([.. words], contextLength);
        _ids = words.Index().ToDictionary(pair => pair.Item, pair => pair.Index + 1, StringComparer.Ordinal);
    }

    /// <summary>The words.</summary>
    public IReadOnlyList<string> Words { get; }

    /// <inheritdoc />
    public int ContextLength { get; }

    /// <summary>The id of any other word.</summary>
    public int UnknownId => Words.Count + 1;

    /// <summary>The id that ends every text, the highest.</summary>
    public int EndId => Words.Count + 2;

    /// <summary>Number of ids.</summary>
    public int VocabSize => Words.Count + 3;

    /// <summary>Reads the file that <see cref="Save"/> writes.</summary>
    /// <exception cref="UserException">The file is missing or is no word list.</exception>
    public static WordTokenizer Load(string path)
    {
        try
        {
            var content = JsonSerializer.Deserialize<Content>(new MemoryStream(SmallFile.Read(path, LargestFile, "a word list")), ReportJson.Options);
            if (content is null || content.ContextLength < 2 || content.Words.Count == 0
                || content.Words.Distinct(StringComparer.Ordinal).Count() != content.Words.Count)
            {
                throw new UserException($"{path} is not a word list: it needs context_length of at least 2 and words that differ.");
            }

            return new(content.Words, content.ContextLength);
        }
        catch (JsonException exception)
        {
            throw new UserException($"{path} is not a word list: {exception.Message.TrimEnd('.')}.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The word list {path} cannot be read");
        }
    }

    /// <summary>Reads the file that <see cref="Save"/> writes, for a text tower.</summary>
    /// <exception cref="UserException">The file is missing, is no word list, or belongs to another tower.</exception>
    public static WordTokenizer Load(string path, TextConfig text)
    {
        var tokenizer = Load(path);
        return (tokenizer.VocabSize, tokenizer.ContextLength) == (text.VocabSize, text.ContextLength)
            ? tokenizer
            : throw new UserException(
                $"{path} has {tokenizer.VocabSize} ids and rows of {tokenizer.ContextLength}, but the text tower takes {text.VocabSize} and {text.ContextLength}; use the word list that belongs to these weights.");
    }

    /// <summary>Writes the tokenizer as JSON.</summary>
    public void Save(string path) =>
        AtomicFile.WriteBytes(path, JsonSerializer.SerializeToUtf8Bytes(new Content("words", ContextLength, Words), ReportJson.Options));

    /// <summary>
    /// The ids of a text: its words in lower case, then <see cref="EndId"/>. Everything that is no letter separates words. A long
    /// text loses its last words, never the end.
    /// </summary>
    public IReadOnlyList<int> Encode(string text)
    {
        var ids = new List<int>(ContextLength);
        var lower = text.ToLowerInvariant();
        for (var position = 0; position < lower.Length && ids.Count < ContextLength - 1; position++)
        {
            var start = position;
            while (position < lower.Length && char.IsLetter(lower[position]))
            {
                position++;
            }

            if (position > start)
            {
                ids.Add(_ids.GetValueOrDefault(lower[start..position], UnknownId));
            }
        }

        ids.Add(EndId);
        return ids;
    }

    /// <inheritdoc />
    public long[] EncodeBatch(IReadOnlyList<string> texts)
    {
        var ids = new long[texts.Count * ContextLength];
        for (var row = 0; row < texts.Count; row++)
        {
            foreach (var (column, id) in Encode(texts[row]).Index())
            {
                ids[(row * ContextLength) + column] = id;
            }
        }

        return ids;
    }

    private sealed record Content(string Type, int ContextLength, IReadOnlyList<string> Words);
}
