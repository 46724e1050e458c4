using System.Text;
using System.Text.Json;
using RegCache.Lab.Pooling.Language;

namespace RegCache.Lab.Tests.Pooling;

[Trait("Category", "Golden")]
public sealed class TextPipelineGoldenTests
{
    private static readonly PoolingGolden _golden = new("text_pipeline");
    private static readonly CharVocabulary _vocabulary = CharVocabulary.Of(new[] { "train", "valid", "test" }.Select(part => Bytes(_golden.Text($"{part}_text"))));
    private static readonly UnigramModel _unigram = new([.. _golden.Json("unigram_vocab").EnumerateArray().Select(piece => new UnigramPiece(piece[0].GetString()!, piece[1].GetSingle()))]);

    [Fact]
    public void SymbolsAreInTheOrderOfTheirFrequency() =>
        Assert.Equal(string.Concat(_golden.Json("vocab_order").EnumerateArray().Select(symbol => symbol.GetString())), _vocabulary.Symbols);

    [Fact]
    public void WordsAreCutIntoPieces()
    {
        foreach (var word in _golden.Json("segmentation").EnumerateObject())
        {
            Assert.Equal(word.Value.EnumerateArray().Select(piece => piece.GetString()), _unigram.Segment(word.Name));
        }
    }

    [Theory]
    [InlineData("whitespaces")]
    [InlineData("fixed")]
    [InlineData("unigram")]
    public void StreamsAndTheirBoundaries(string type)
    {
        var streams = Streams("train", int.MaxValue / 2, 0, type);
        var chunk = streams.Chunk(0);
        var stream = _golden[$"{type}.train.stream"];
        GoldenTensors.AssertIdentical(stream.narrow(0, 0, stream.shape[0] - 1), chunk.Data);
        GoldenTensors.AssertIdentical(stream.narrow(0, 1, stream.shape[0] - 1), chunk.Target);
        var expected = _golden[$"{type}.train.boundaries"].clone();
        if (type == "unigram")
        {
            // The files have upstream's delay by one character inside the first word of every stream.
            for (var column = 0L; column < stream.shape[1]; column++)
            {
                var word = Enumerable.Range(0, (int)stream.shape[0]).First(row => stream[row, column].item<long>() == 0);
                for (var row = 0; row < word - 1; row++)
                {
                    expected[row, column].copy_(expected[row + 1, column]);
                }

                if (word > 0)
                {
                    expected[word - 1, column].fill_(0);
                }
            }
        }

        GoldenTensors.AssertIdentical(expected.narrow(0, 0, stream.shape[0] - 1), chunk.Boundaries!);
    }

    [Theory]
    [InlineData("train")]
    [InlineData("valid")]
    public void ChunksInTheirOrder(string part)
    {
        var streams = Streams(part, _golden.Integer("tgt_len"), part == "valid" ? _golden.Integer("ext_len") : 0, "whitespaces");
        Assert.Equal(_golden.Names.Count(name => name.StartsWith($"{part}.", StringComparison.Ordinal) && name.EndsWith(".data", StringComparison.Ordinal)), streams.Chunks);
        for (var index = 0; index < streams.Chunks; index++)
        {
            var chunk = streams.Chunk(index);
            GoldenTensors.AssertIdentical(_golden[$"{part}.{index}.data"], chunk.Data);
            GoldenTensors.AssertIdentical(_golden[$"{part}.{index}.target"], chunk.Target);
            GoldenTensors.AssertIdentical(_golden[$"{part}.{index}.boundaries"], chunk.Boundaries!);
        }
    }

    [Fact]
    public void TurnedStreams()
    {
        int[] shifts = [.. _golden["roll.shifts"].data<long>().Select(shift => (int)shift)];
        var chunk = Streams("train", int.MaxValue / 2, 0, "whitespaces").Chunk(0, shifts);
        GoldenTensors.AssertIdentical(_golden["roll.stream"].narrow(0, 0, chunk.Data.shape[0]), chunk.Data);
    }

    private static TextStreams Streams(string part, int length, int context, string type) => new(
        _vocabulary.Encode(Bytes(_golden.Text($"{part}_text")), part),
        _golden.Integer("bsz"),
        length,
        context,
        BoundaryTypes.All.Find(type).OfText!(new(_vocabulary, _golden.Integer("fixed_sf"), _unigram)),
        part);

    private static byte[] Bytes(string text) => Encoding.ASCII.GetBytes(text);
}
