using System.Text.Json;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Tests.Encoders.Text;

/// <summary>Every case of the goldens, with the full vocabulary and with the truncated ones in all their layouts.</summary>
[Trait("Category", "Golden")]
public class TokenizerGoldenTests
{
    [ExternalFact("data", "bpe_simple_vocab_16e6.txt.gz")]
    public void FullVocabulary() => CheckSet("full", Goldens.ExternalPath("data", "bpe_simple_vocab_16e6.txt.gz")!);

    [ExternalFact("clip", "bpe_tiny.txt.gz")]
    public void TruncatedVocabulary() => CheckSet("tiny", Goldens.ExternalPath("clip", "bpe_tiny.txt.gz")!);

    [ExternalFact("clip", "hf_tiny", "tokenizer.json")]
    public void HuggingFaceTokenizerJson() => CheckSet("tiny", Goldens.ExternalPath("clip", "hf_tiny", "tokenizer.json")!);

    [ExternalFact("clip", "hf_tiny", "vocab.json")]
    public void HuggingFaceVocabularyAndMerges() => CheckSet("tiny", Goldens.ExternalPath("clip", "hf_tiny", "vocab.json")!);

    [ExternalFact("data", "bpe_simple_vocab_16e6.txt.gz")]
    public void OtherContextLengths()
    {
        var vocabulary = FullVocabularyFile();
        foreach (var item in TokenizerCases.Root.GetProperty("full_other_context").EnumerateArray())
        {
            var options = new TokenizerOptions { ContextLength = item.GetProperty("context_length").GetInt32(), FixText = false };
            AssertIds(item, "ids", new ClipTokenizer(vocabulary, options).EncodeBatch([item.GetProperty("text").GetString()!]));
        }
    }

    [ExternalFact("data", "bpe_simple_vocab_16e6.txt.gz")]
    public void RepairsOfText()
    {
        var tokenizer = new ClipTokenizer(FullVocabularyFile());
        foreach (var item in TokenizerCases.Root.GetProperty("ftfy_expected").EnumerateArray())
        {
            var text = item.GetProperty("text").GetString()!;
            Assert.Equal(item.GetProperty("fixed").GetString(), TextFixer.Fix(text));
            AssertIds(item, "ids", tokenizer.EncodeBatch([text]));
        }
    }

    [ExternalFact("data", "bpe_simple_vocab_16e6.txt.gz")]
    public void Decoding()
    {
        var tokenizer = new ClipTokenizer(FullVocabularyFile());
        foreach (var item in TokenizerCases.Root.GetProperty("decode").EnumerateArray())
        {
            var ids = TokenizerCases.Ids(item.GetProperty("ids")).Select(id => (long)id);
            Assert.Equal(item.GetProperty("text").GetString(), tokenizer.Decode(ids));
        }
    }

    [ExternalFact("data", "bpe_simple_vocab_16e6.txt.gz")]
    public void IdsOfSingleTokens()
    {
        var vocabulary = FullVocabularyFile();
        foreach (var item in TokenizerCases.Root.GetProperty("spot_checks").EnumerateObject())
        {
            Assert.Equal(item.Value.GetInt32(), vocabulary.Id(item.Name));
        }
    }

    [Fact]
    public void CharactersOfBytes() => Assert.Equal(
        TokenizerCases.Ids(TokenizerCases.Root.GetProperty("byte_to_unicode")),
        ByteCharacters.OfByte.Select(character => (int)character));

    [Theory]
    [InlineData("clean_lower", TextCleaning.LowerCase)]
    [InlineData("clean_whitespace", TextCleaning.Whitespace)]
    [InlineData("clean_canonicalize", TextCleaning.Canonicalize)]
    public void CleanedText(string field, TextCleaning cleaning)
    {
        foreach (var item in TokenizerCases.Of("full").Concat(TokenizerCases.Of("tiny")))
        {
            var fix = !item.GetProperty("ftfy_sensitive").GetBoolean();
            Assert.Equal(item.GetProperty(field).GetString(), TextCleaner.Clean(item.GetProperty("text").GetString()!, cleaning, fix));
        }
    }

    private static Vocabulary FullVocabularyFile() => Vocabulary.Load(Goldens.ExternalPath("data", "bpe_simple_vocab_16e6.txt.gz")!);

    private static void CheckSet(string set, string path)
    {
        var expected = TokenizerCases.Root.GetProperty(set);
        var vocabulary = Vocabulary.Load(path);
        Assert.Equal(expected.GetProperty("vocab_size").GetInt32(), vocabulary.Count);
        Assert.Equal(expected.GetProperty("sot").GetInt32(), vocabulary.StartId);
        Assert.Equal(expected.GetProperty("eot").GetInt32(), vocabulary.EndId);
        var context = expected.GetProperty("context_length").GetInt32();
        var cases = TokenizerCases.Of(set).ToList();
        foreach (var fix in new[] { false, true })
        {
            var tokenizer = new ClipTokenizer(vocabulary, new TokenizerOptions { ContextLength = context, FixText = fix });
            foreach (var item in cases.Where(item => !fix || !item.GetProperty("ftfy_sensitive").GetBoolean()))
            {
                var text = item.GetProperty("text").GetString()!;
                Assert.Equal(TokenizerCases.Ids(item.GetProperty("encode")), tokenizer.Encode(text));
                AssertIds(item, "ids", tokenizer.EncodeBatch([text]));
            }
        }
    }

    private static void AssertIds(JsonElement item, string field, long[] actual) =>
        Assert.Equal(TokenizerCases.Ids(item.GetProperty(field)).Select(id => (long)id), actual);
}
