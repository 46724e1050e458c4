using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Pooling.Language;

/// <summary>A piece of a Unigram vocabulary.</summary>
/// <param name="Text">Its characters; a word's first piece begins with <see cref="UnigramModel.Mark"/>.</param>
/// <param name="Score">Its log probability.</param>
public sealed record UnigramPiece(string Text, float Score);

/// <summary>
/// A Unigram tokenizer (Kudo 2018, "Subword Regularization", arXiv:1804.10959): a word is cut into the pieces whose scores have the largest sum.
/// </summary>
public sealed class UnigramModel
{
    /// <summary>What stands for the beginning of a word.</summary>
    public const char Mark = '\u2581';

    private const long LargestFile = 64 << 20;
    private readonly Dictionary<string, float> _scores;
    private readonly Dictionary<string, float>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly int _longest;

    /// <summary>Makes a tokenizer of its pieces.</summary>
    /// <exception cref="UserException">There are none, or a score is no number.</exception>
    public UnigramModel(IReadOnlyList<UnigramPiece> pieces)
    {
        if (pieces.Count == 0 || pieces.Any(piece => piece.Text.Length == 0 || !float.IsFinite(piece.Score)))
        {
            throw new UserException("A Unigram vocabulary needs pieces with characters and finite scores; train it again.");
        }

        Pieces = pieces;
        _scores = new(StringComparer.Ordinal);
        foreach (var piece in pieces)
        {
            _scores.TryAdd(piece.Text, piece.Score);
        }

        _lookup = _scores.GetAlternateLookup<ReadOnlySpan<char>>();
        _longest = pieces.Max(piece => piece.Text.Length);
    }

    /// <summary>The pieces.</summary>
    public IReadOnlyList<UnigramPiece> Pieces { get; }

    /// <summary>Cuts a word into pieces, the first of which begins with the mark.</summary>
    /// <exception cref="UserException">A character of it is in no piece.</exception>
    public IReadOnlyList<string> Segment(string word)
    {
        var text = Mark + word;
        var (best, from) = (new float[text.Length + 1], new int[text.Length + 1]);
        Array.Fill(best, float.NegativeInfinity);
        best[0] = 0;
        for (var end = 1; end <= text.Length; end++)
        {
            for (var start = Math.Max(0, end - _longest); start < end; start++)
            {
                if (_lookup.TryGetValue(text.AsSpan(start, end - start), out var score) && best[start] + score > best[end])
                {
                    (best[end], from[end]) = (best[start] + score, start);
                }
            }
        }

        if (float.IsNegativeInfinity(best[text.Length]))
        {
            throw new UserException($"The Unigram vocabulary cannot spell \"{word}\": a character of it is in no piece; train the vocabulary on this text.");
        }

        var pieces = new List<string>();
        for (var end = text.Length; end > 0; end = from[end])
        {
            pieces.Add(text[from[end]..end]);
        }

        pieces.Reverse();
        return pieces;
    }

    /// <summary>Reads a vocabulary: a SentencePiece file <c>.model</c>, or the kit's own JSON.</summary>
    /// <exception cref="UserException">It cannot be read, or is neither.</exception>
    public static UnigramModel Load(string path)
    {
        try
        {
            var bytes = SmallFile.Read(path, LargestFile, "a Unigram vocabulary");
            return bytes is [(byte)'[', ..]
                ? new(JsonSerializer.Deserialize<UnigramPiece[]>(bytes, ReportJson.Options)!)
                : new([.. SentencePieces(bytes)]);
        }
        catch (Exception exception) when (exception is JsonException or InvalidDataException or DecoderFallbackException)
        {
            throw new UserException($"{path} is no Unigram vocabulary: give a SentencePiece file .model, or the JSON that train lm writes.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The Unigram vocabulary {path} cannot be read");
        }
    }

    /// <summary>Writes the vocabulary as JSON.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Save(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(Pieces, ReportJson.Options) + "\n");

    // Protocol buffers: field 1 of the file is a piece; of that field 1 is its text, 2 its score and 3 its type, of which 1, or none, is an ordinary piece.
    private static IEnumerable<UnigramPiece> SentencePieces(byte[] file)
    {
        foreach (var (_, content) in Fields(file).Where(field => field.Number == 1))
        {
            var fields = Fields(content).ToDictionary(field => field.Number, field => field.Content);
            if (fields.TryGetValue(1, out var text) && fields.TryGetValue(2, out var score) && score.Length == 4 && (!fields.TryGetValue(3, out var type) || type is [1]))
            {
                yield return new(new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(text), BinaryPrimitives.ReadSingleLittleEndian(score));
            }
        }
    }

    private static List<(int Number, byte[] Content)> Fields(byte[] message)
    {
        var fields = new List<(int, byte[])>();
        var position = 0;
        while (position < message.Length)
        {
            var key = Number();
            var length = (key & 7) switch
            {
                0 => Skip(),
                1 => 8,
                2 => (int)Math.Min(Number(), int.MaxValue),
                5 => 4,
                _ => throw new InvalidDataException("unknown kind of field"),
            };
            if (length > message.Length - position)
            {
                throw new InvalidDataException("a field is cut off");
            }

            fields.Add(((int)(key >> 3), message[position..(position + length)]));
            position += length;
        }

        return fields;

        ulong Number()
        {
            var (value, shift) = (0UL, 0);
            while (position < message.Length && shift < 64)
            {
                var part = message[position++];
                value |= (ulong)(part & 0x7F) << shift;
                if (part < 0x80)
                {
                    return value;
                }

                shift += 7;
            }

            throw new InvalidDataException("a number is cut off");
        }

        int Skip()
        {
            var end = Array.FindIndex(message, position, part => part < 0x80);
            return end < 0 ? throw new InvalidDataException("a number is cut off") : end + 1 - position;
        }
    }
}
