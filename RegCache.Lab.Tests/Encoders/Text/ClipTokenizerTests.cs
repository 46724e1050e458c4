using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Tests.Encoders.Text;

/// <summary>What the tokenizer does with special tokens, long texts, batches and ids.</summary>
public class ClipTokenizerTests
{
    private static readonly Vocabulary Small = SmallVocabulary.Load();

    [Theory]
    [InlineData("the cat", "the</w> cat</w>")]
    [InlineData("THE  Cat", "the</w> cat</w>")]
    [InlineData("thea", "th e a</w>")]
    [InlineData("aaaaaa", "aa aaa a</w>")]
    [InlineData("cat's", "cat</w> ' s</w>")]
    [InlineData("12", "1</w> 2</w>")]
    [InlineData("", "")]
    public void PairsMergeInTheOrderOfTheirRanks(string text, string tokens) =>
        Assert.Equal(tokens, string.Join(' ', new ClipTokenizer(Small).Encode(text).Select(id => Small.Tokens[id])));

    [Fact]
    public void SpecialTokensInTextBecomeSpecialIdsUnlessEscaped()
    {
        const string Text = "a<End_Of_Text>the<START_of_text>";
        var plain = new ClipTokenizer(Small).Encode(Text);
        var escaped = new ClipTokenizer(Small, new TokenizerOptions { EscapeSpecialTokens = true }).Encode(Text);

        Assert.Equal([Small.Id("a</w>"), Small.EndId, Small.Id("the</w>"), Small.StartId], plain);
        Assert.DoesNotContain(Small.EndId, escaped);
        Assert.DoesNotContain(Small.StartId, escaped);
    }

    [Fact]
    public void HuggingFaceHasItsOwnSpecialTokensAndLeavesHtmlAlone()
    {
        var tokenizer = new ClipTokenizer(Small, new TokenizerOptions { Cleaning = TextCleaning.HuggingFace });

        Assert.Equal([Small.EndId], tokenizer.Encode("<|endoftext|>"));
        Assert.DoesNotContain(Small.EndId, tokenizer.Encode("<end_of_text>"));
        Assert.Equal("&amp; σ", tokenizer.Clean(" &AMP;  Σ "));
    }

    [Fact]
    public void LongTextsAreCutBeforeTheEndToken()
    {
        var tokenizer = new ClipTokenizer(Small, new TokenizerOptions { ContextLength = 5, PadId = 3 });
        var (start, end, the) = (Small.StartId, Small.EndId, Small.Id("the</w>"));

        Assert.Equal(Longs(start, the, the, the, end), tokenizer.EncodeBatch(["the the the the the"]));
        Assert.Equal(Longs(start, the, the, the, end), tokenizer.EncodeBatch(["the the the"]));
        Assert.Equal(Longs(start, the, end, 3, 3), tokenizer.EncodeBatch(["the"]));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(1000)]
    public void BatchesAreTheirRows(int count)
    {
        var tokenizer = new ClipTokenizer(Small, new TokenizerOptions { ContextLength = 7 });
        var texts = Enumerable.Range(0, count).Select(index => $"the cat {index}").ToList();

        Assert.Equal(texts.SelectMany(text => tokenizer.EncodeBatch([text])), tokenizer.EncodeBatch(texts));
    }

    [Fact]
    public void TextSurvivesEncodingAndDecoding()
    {
        var tokenizer = new ClipTokenizer(Small);

        Assert.Equal("the 日本語 😀 straße ", tokenizer.Decode(tokenizer.Encode("the 日本語 😀 Straße").Select(id => (long)id)));
        Assert.Equal("\uFFFD", tokenizer.Decode([Small.Id(ByteCharacters.OfByte[0xE6].ToString())]));
        Assert.Throws<UserException>(() => tokenizer.Decode([Small.Count]));
    }

    [Fact]
    public void LongPiecesTakeNoExcessiveTime()
    {
        var random = new Random(1);
        var text = string.Concat(Enumerable.Range(0, 50_000).Select(_ => "sthecat"[random.Next(7)]));

        Assert.Equal(text + " ", new ClipTokenizer(Small).Decode(new ClipTokenizer(Small).Encode(text).Select(id => (long)id)));
    }

    [Fact]
    public void BrokenUnicodeIsReplaced()
    {
        var tokenizer = new ClipTokenizer(Small);

        Assert.Equal("a \uFFFD b ", tokenizer.Decode(tokenizer.Encode("a\uD800b").Select(id => (long)id)));
    }

    [Fact]
    public void OptionsMustFitTheVocabulary()
    {
        Assert.Throws<UserException>(() => new ClipTokenizer(Small, new TokenizerOptions { ContextLength = 1 }));
        Assert.Throws<UserException>(() => new ClipTokenizer(Small, new TokenizerOptions { PadId = Small.Count }));
    }

    private static IEnumerable<long> Longs(params int[] ids) => ids.Select(id => (long)id);
}
