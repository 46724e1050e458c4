using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Tests.Encoders.Text;

/// <summary>All layouts of a vocabulary read the same, and damaged files are named.</summary>
public sealed class VocabularyTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AllLayoutsGiveTheSameTokens()
    {
        SmallVocabulary.Write(_folder["bpe.txt.gz"]);
        SmallVocabulary.WriteVocabAndMerges(_folder.Root);
        SmallVocabulary.WriteTokenizerJson(_folder["tokenizer.json"], pairs: false);
        SmallVocabulary.WriteTokenizerJson(_folder["tokenizer_pairs.json"], pairs: true);
        File.WriteAllText(_folder["bpe.txt"], string.Join('\n', ["#version", .. SmallVocabulary.Merges, ""]));

        foreach (var name in new[] { "bpe.txt.gz", "bpe.txt", "vocab.json", "tokenizer.json", "tokenizer_pairs.json" })
        {
            var vocabulary = Vocabulary.Load(_folder[name]);
            Assert.Equal(SmallVocabulary.Count, vocabulary.Count);
            Assert.Equal((SmallVocabulary.Count - 2, SmallVocabulary.Count - 1), (vocabulary.StartId, vocabulary.EndId));
            Assert.Equal(SmallVocabulary.Load().Tokens.SkipLast(2), vocabulary.Tokens.SkipLast(2));
            Assert.Equal([vocabulary.Id("the</w>"), vocabulary.Id("cat</w>")], new ClipTokenizer(vocabulary).Encode("the cat"));
        }
    }

    [ExternalFact("data", "tiny-vocabulary-2")]
    public void LayoutsOfAnotherVocabularyAgree() => AssertLayoutsAgree(Goldens.ExternalPath("data", "tiny-vocabulary-2")!);

    [ExternalFact("clip", "hf_tiny")]
    public void LayoutsOfTheGoldenVocabularyAgree() => AssertLayoutsAgree(Path.GetDirectoryName(Goldens.ExternalPath("clip", "hf_tiny"))!);

    [Theory]
    [InlineData("#version\na b c", "\"a b c\"")]
    [InlineData("#version\nab", "\"ab\"")]
    [InlineData("#version\nzz q", "token zz")]
    [InlineData("#version\na b\na b", "make the token ab")]
    public void DamagedMergeListsAreNamed(string text, string complaint)
    {
        SmallVocabulary.WritePacked(_folder["bpe.txt.gz"], text);

        Assert.Contains(complaint, Complaint("bpe.txt.gz"), StringComparison.Ordinal);
    }

    [Fact]
    public void DamagedPackingIsNamed()
    {
        SmallVocabulary.Write(_folder["bpe.txt.gz"]);
        var bytes = File.ReadAllBytes(_folder["bpe.txt.gz"]);
        bytes[^1] ^= 1;
        bytes[12] ^= 0x55;
        File.WriteAllBytes(_folder["bpe.txt.gz"], bytes);

        Assert.Contains("bpe.txt.gz", Complaint("bpe.txt.gz"), StringComparison.Ordinal);
    }

    [Fact]
    public void FilesThatUnfoldWithoutEndAreStopped()
    {
        SmallVocabulary.WritePacked(_folder["bpe.txt.gz"], new string('a', (64 << 20) + 1));

        Assert.Contains("unfolds to more", Complaint("bpe.txt.gz"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"a":0,"b":2}""", "ids are not")]
    [InlineData("""{"a":"x"}""", "token a")]
    [InlineData("""[1]""", "not an object")]
    [InlineData("""{"a":0}""", "lacks the token <|startoftext|>")]
    public void DamagedVocabulariesAreNamed(string json, string complaint)
    {
        File.WriteAllText(_folder["vocab.json"], json);
        File.WriteAllText(_folder["merges.txt"], "#version: 0.2\n");

        Assert.Contains(complaint, Complaint("vocab.json"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"model":{"type":"WordPiece"}}""", "model.type")]
    [InlineData("""{"model":{"type":"BPE","vocab":{}}}""", "end_of_word_suffix")]
    [InlineData("""{"model":{"type":"BPE","end_of_word_suffix":"</w>"}}""", "model.vocab")]
    [InlineData("""{"model":{"type":"BPE","end_of_word_suffix":"</w>","vocab":{},"merges":[3]}}""", "model.merges")]
    [InlineData("""{"model":{"type":"BPE","end_of_word_suffix":"</w>","vocab":{}},"added_tokens":[{"id":-1,"content":"x"}]}""", "added_tokens.id")]
    public void DamagedTokenizersAreNamed(string json, string complaint)
    {
        File.WriteAllText(_folder["tokenizer.json"], json);

        Assert.Contains(complaint, Complaint("tokenizer.json"), StringComparison.Ordinal);
    }

    [Fact]
    public void MissingFilesAreNamed()
    {
        Assert.Contains("no such file", Complaint("absent.txt.gz"), StringComparison.Ordinal);
        Assert.Contains("bpe_simple_vocab_16e6.txt.gz", Assert.Throws<UserException>(() => Vocabulary.Load(_folder.Root)).Message, StringComparison.Ordinal);
        File.WriteAllText(_folder["vocab.json"], "{}");
        Assert.Contains("merges.txt", Complaint("vocab.json"), StringComparison.Ordinal);
    }

    private static void AssertLayoutsAgree(string folder)
    {
        var packed = new ClipTokenizer(Vocabulary.Load(Path.Combine(folder, "bpe_tiny.txt.gz")));
        foreach (var name in new[] { "tokenizer.json", "vocab.json" })
        {
            var other = new ClipTokenizer(Vocabulary.Load(Path.Combine(folder, "hf_tiny", name)));
            Assert.Equal(packed.Vocabulary.Tokens.SkipLast(2), other.Vocabulary.Tokens.SkipLast(2));
            Assert.Equal((packed.Vocabulary.StartId, packed.Vocabulary.EndId), (other.Vocabulary.StartId, other.Vocabulary.EndId));
            foreach (var text in TokenizerCases.Of("tiny").Select(item => item.GetProperty("text").GetString()!))
            {
                Assert.Equal(packed.Encode(text), other.Encode(text));
            }
        }
    }

    private string Complaint(string name) => Assert.Throws<UserException>(() => Vocabulary.Load(_folder[name])).Message;
}
