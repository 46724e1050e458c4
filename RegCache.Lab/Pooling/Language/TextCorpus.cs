using System.Buffers;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Pooling.Language;

/// <summary>The symbols of a text, the most frequent first: number 0 is the space in any English text.</summary>
/// <param name="Symbols">The symbols; a symbol's number is its position.</param>
public sealed record CharVocabulary(string Symbols)
{
    /// <summary>Number of symbols.</summary>
    public int Count => Symbols.Length;

    /// <summary>The symbols of texts by falling frequency in all of them together; of equally frequent ones the earlier seen first.</summary>
    public static CharVocabulary Of(IEnumerable<byte[]> texts)
    {
        var (counts, first, position) = (new long[256], new long[256], 0L);
        foreach (var text in texts)
        {
            foreach (var character in text)
            {
                if (counts[character]++ == 0)
                {
                    first[character] = position;
                }

                position++;
            }
        }

        var order = Enumerable.Range(0, 256).Where(symbol => counts[symbol] > 0).OrderByDescending(symbol => counts[symbol]).ThenBy(symbol => first[symbol]);
        return new(string.Concat(order.Select(symbol => (char)symbol)));
    }

    /// <summary>The number of a symbol.</summary>
    /// <exception cref="UserException">There is no such symbol.</exception>
    public byte Find(char symbol) => Symbols.IndexOf(symbol, StringComparison.Ordinal) is var number and >= 0
        ? (byte)number
        : throw new UserException($"The vocabulary has no symbol '{symbol}': it is \"{Symbols}\".");

    /// <summary>The numbers of a text's symbols.</summary>
    /// <param name="text">The text, one byte a character.</param>
    /// <param name="source">Where it is from, for the message.</param>
    /// <exception cref="UserException">A character is no symbol; the message names it and its place.</exception>
    public byte[] Encode(ReadOnlySpan<byte> text, string source)
    {
        var numbers = Enumerable.Repeat(-1, 256).ToArray();
        foreach (var (number, symbol) in Symbols.Index())
        {
            numbers[symbol] = number;
        }

        var ids = new byte[text.Length];
        for (var position = 0; position < text.Length; position++)
        {
            ids[position] = numbers[text[position]] is var number and >= 0
                ? (byte)number
                : throw new UserException(
                    $"{source}: character {position + 1} is {TextCorpus.Name(text[position])}, which the model's vocabulary \"{Symbols}\" has not; write the text in its symbols.");
        }

        return ids;
    }

    /// <summary>The text of some numbers.</summary>
    public string Decode(ReadOnlySpan<byte> ids)
    {
        var text = new char[ids.Length];
        for (var position = 0; position < ids.Length; position++)
        {
            text[position] = Symbols[ids[position]];
        }

        return new(text);
    }
}

/// <summary>
/// A text in text8's alphabet (small letters and spaces) in three parts: a folder with train.txt, valid.txt and test.txt, or one file, of which the
/// first 90 % are for training, 5 % for validation and 5 % for the test, as Mahoney's text8 is split.
/// </summary>
public sealed class TextCorpus
{
    private const int Least = 4;
    private static readonly SearchValues<byte> _alphabet = SearchValues.Create(" abcdefghijklmnopqrstuvwxyz"u8);

    private TextCorpus(string source, byte[][] texts, CharVocabulary vocabulary)
    {
        Source = source;
        Vocabulary = vocabulary;
        (Train, Validation, Test) = (vocabulary.Encode(texts[0], source), vocabulary.Encode(texts[1], source), vocabulary.Encode(texts[2], source));
        Inventory = new(
            source,
            $"{Train.Length} characters for training, {Validation.Length} for validation, {Test.Length} for the test; {vocabulary.Count} symbols",
            [],
            []);
    }

    /// <summary>Where it lies.</summary>
    public string Source { get; }

    /// <summary>The symbols of all parts.</summary>
    public CharVocabulary Vocabulary { get; }

    /// <summary>The text for training, as numbers of symbols.</summary>
    public byte[] Train { get; }

    /// <summary>The text for validation.</summary>
    public byte[] Validation { get; }

    /// <summary>The text for the test.</summary>
    public byte[] Test { get; }

    /// <summary>What it holds.</summary>
    public DataInventory Inventory { get; }

    /// <summary>Identifies the text.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Reads a corpus.</summary>
    /// <param name="path">The folder or the file.</param>
    /// <param name="vocabulary">The symbols of a model that is to read it; null: those that occur.</param>
    /// <exception cref="UserException">It cannot be read, is too short, or has other characters.</exception>
    public static TextCorpus Open(string path, CharVocabulary? vocabulary = null)
    {
        try
        {
            string[] files = Directory.Exists(path) ? [.. new[] { "train.txt", "valid.txt", "test.txt" }.Select(name => Path.Combine(path, name))] : [path];
            byte[][] texts = [.. files.Select(Read)];
            if (texts.Length == 1)
            {
                var (whole, ninety, ninetyFive) = (texts[0], (int)(texts[0].Length * 0.9), (int)(texts[0].Length * 0.95));
                texts = [whole[..ninety], whole[ninety..ninetyFive], whole[ninetyFive..]];
            }

            var shortest = Array.FindIndex(texts, text => text.Length < Least);
            return shortest < 0
                ? new(path, texts, vocabulary ?? CharVocabulary.Of(texts)) { Fingerprint = ContentHash.OfFiles(files) }
                : throw new UserException(
                    $"{(files.Length == 3 ? files[shortest] : path)} is too short for a corpus ({texts[shortest].Length} characters for {PartName(shortest)}); give a longer text.");
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The corpus {path} cannot be read");
        }
    }

    /// <summary>A byte as a message shows it.</summary>
    internal static string Name(byte character) => character is > 32 and < 127 ? $"'{(char)character}'" : $"byte {character}";

    private static string PartName(int part) => new[] { "training", "validation", "the test" }[part];

    private static byte[] Read(string file)
    {
        var text = File.ReadAllBytes(file).AsSpan().TrimEnd("\r\n"u8);
        if (text.IndexOfAnyExcept(_alphabet) is var strange and >= 0)
        {
            throw new UserException(
                $"{file} is not in text8's alphabet: character {strange + 1} is {Name(text[strange])}; keep small letters a to z and spaces only, with numbers spelled out.");
        }

        return text.ToArray();
    }
}
