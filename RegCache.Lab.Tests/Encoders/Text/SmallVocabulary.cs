using System.IO.Compression;
using System.Text;
using System.Text.Json;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Tests.Encoders.Text;

/// <summary>A vocabulary with a handful of merges, in all the layouts.</summary>
internal static class SmallVocabulary
{
    public static readonly string[] Merges = ["t h", "th e</w>", "c a", "ca t</w>", "a a", "aa a", "s t", "o f</w>"];

    public static int Count { get; } = 512 + Merges.Length + 2;

    public static Vocabulary Load(string? path = null)
    {
        path ??= Path.Combine(Path.GetTempPath(), $"bpe-{Guid.NewGuid():N}.txt.gz");
        Write(path);
        try
        {
            return Vocabulary.Load(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>OpenAI's layout: a packed merge list after a header line.</summary>
    public static void Write(string path) => WritePacked(path, string.Join('\n', ["#version", .. Merges]));

    public static void WritePacked(string path, string text)
    {
        using var stream = new GZipStream(File.Create(path), CompressionLevel.Fastest);
        stream.Write(Encoding.UTF8.GetBytes(text));
    }

    /// <summary>HuggingFace's vocab.json and merges.txt.</summary>
    public static void WriteVocabAndMerges(string folder)
    {
        File.WriteAllText(Path.Combine(folder, "vocab.json"), JsonSerializer.Serialize(Ids()));
        File.WriteAllText(Path.Combine(folder, "merges.txt"), string.Join('\n', ["#version: 0.2", .. Merges, ""]));
    }

    /// <summary>HuggingFace's tokenizer.json, with merges as strings or as pairs.</summary>
    public static void WriteTokenizerJson(string path, bool pairs) => File.WriteAllText(path, JsonSerializer.Serialize(new
    {
        added_tokens = Ids().Where(item => item.Key.StartsWith("<|", StringComparison.Ordinal)).Select(item => new { id = item.Value, content = item.Key }),
        model = new
        {
            type = "BPE",
            end_of_word_suffix = "</w>",
            vocab = Ids(),
            merges = Merges.Select(merge => pairs ? (object)merge.Split(' ') : merge),
        },
    }));

    private static Dictionary<string, int> Ids()
    {
        var bytes = ByteCharacters.InOrder.Select(character => character.ToString()).ToList();
        string[] tokens = [.. bytes, .. bytes.Select(token => token + "</w>"), .. Merges.Select(merge => merge.Replace(" ", "")), "<|startoftext|>", "<|endoftext|>"];
        return tokens.Index().ToDictionary(item => item.Item, item => item.Index);
    }
}
