using RegCache.Lab.Encoders;
using RegCache.Lab.Pooling.Language;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Pooling;

public sealed class LanguageModelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lm-").FullName;

    public static TheoryData<string> Types => [.. BoundaryTypes.All.Names];

    [Theory]
    [MemberData(nameof(Types))]
    public void APredictionSeesNoLaterCharacter(string type)
    {
        const int length = 32;
        using var noGradient = torch.no_grad();
        using var model = Tiny(type);
        using var generator = new torch.Generator(7);
        var data = torch.randint(0, 10, [length, 1], torch.ScalarType.Int64, generator: generator);
        var boundaries = model.Config.Type is { OfText: not null } ? torch.rand([length, 1], generator: generator).greater(0.7) : null;
        using var whole = model.Forward(new(data) { Boundaries = boundaries });
        for (var end = 1; end <= length; end++)
        {
            using var prefix = model.Forward(new(data.narrow(0, 0, end)) { Boundaries = boundaries?.narrow(0, 0, end) });
            GoldenTensors.AssertClose(whole.Logits[end - 1], prefix.Logits[end - 1], 1e-6);
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void SamplesDoNotKnowEachOther(string type)
    {
        using var noGradient = torch.no_grad();
        using var model = Tiny(type);
        var data = torch.randint(0, 10, [20, 3], torch.ScalarType.Int64);
        var boundaries = torch.rand(20, 3).greater(0.7);
        using var together = model.Forward(new(data) { Boundaries = boundaries });
        for (var sample = 0; sample < 3; sample++)
        {
            using var alone = model.Forward(new(data.narrow(1, sample, 1)) { Boundaries = boundaries.narrow(1, sample, 1) });
            GoldenTensors.AssertClose(alone.Logits, together.Logits.narrow(1, sample, 1), 1e-5);
        }
    }

    [Fact]
    public void InitialWeightsHaveThePublishedSpread()
    {
        using var model = DynamicPoolingLm.Initialize(Config("gumbel") with { Width = 64, HeadWidth = 32, Inner = 256 }, seed: 5);
        double Deviation(string name) => model.Weights[name].std().ToDouble();
        Assert.InRange(Deviation("layers.1.0.pos_ff.CoreNet.0.weight"), 0.0195, 0.0205);
        Assert.InRange(Deviation("word_emb.weight"), 0.018, 0.022);
        Assert.InRange(Deviation("r_w_bias"), 0.012, 0.028);
        Assert.InRange(Deviation("null_group"), 0.7, 1.3);
        Assert.InRange(model.Weights["down_ln.weight"].mean().ToDouble(), 0.98, 1.02);
        Assert.All(
            model.Weights.Names.Where(name => name.EndsWith(".bias", StringComparison.Ordinal)), name => Assert.Equal(0, model.Weights[name].abs().max().ToDouble()));
        using var other = DynamicPoolingLm.Initialize(model.Config, seed: 6);
        Assert.False(other.Weights["word_emb.weight"].allclose(model.Weights["word_emb.weight"]));
    }

    [Fact]
    public void ASavedModelIsReadBack()
    {
        using var saved = new LmModelFolder(Tiny("unigram"), new(Config("unigram"), " abcdefghij", 16), new([new("▁", -1), new("a", -2)]));
        saved.Save(_folder);
        using var read = LmModelFolder.Load(_folder);
        Assert.Equal(saved.Card, read.Card);
        Assert.Equal(saved.Unigram!.Pieces, read.Unigram!.Pieces);
        Assert.All(saved.Model.Weights.Names, name => GoldenTensors.AssertIdentical(saved.Model.Weights[name], read.Model.Weights[name], name));
    }

    [Fact]
    public void WeightsOfAnotherLayerSplitOrVocabularyAreRefused()
    {
        using var model = Tiny("gumbel");
        WeightTable Copy() => new("a checkpoint", model.Weights.Names.Select(name => KeyValuePair.Create(name, model.Weights[name].clone())));
        string Message(DynamicPoolingConfig config) => Assert.Throws<UserException>(() => new DynamicPoolingLm(config, Copy())).Message;
        Assert.Contains("layers.1.1.dec_attn", Message(model.Config with { LayersPooled = 1, LayersAfter = 1 }), StringComparison.Ordinal);
        Assert.Contains("layers.2.1.dec_attn", Message(model.Config with { LayersAfter = 2 }), StringComparison.Ordinal);
        Assert.Contains("word_emb.weight", Message(model.Config with { Vocabulary = 27 }), StringComparison.Ordinal);
        Assert.Contains("boundary_predictor", Message(model.Config with { Boundaries = "whitespaces" }), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(1.5)]
    public void ARateOutsideZeroAndOneIsRefused(double prior) =>
        Assert.Contains("above 0 and below 1", Assert.Throws<UserException>(() => (Config("gumbel") with { Prior = prior }).Validated()).Message, StringComparison.Ordinal);

    [Fact]
    public void ACorpusIsReadFromOneFileOrThree()
    {
        var text = string.Concat(Enumerable.Repeat("the quick brown fox ", 20));
        var one = Path.Combine(_folder, "text8");
        File.WriteAllText(one, text + "\n");
        var whole = TextCorpus.Open(one);
        Assert.Equal((360, 20, 20), (whole.Train.Length, whole.Validation.Length, whole.Test.Length));
        foreach (var (name, part) in new[] { ("train.txt", text[..360]), ("valid.txt", text[360..380]), ("test.txt", text[380..]) })
        {
            File.WriteAllText(Path.Combine(_folder, name), part);
        }

        var parts = TextCorpus.Open(_folder);
        Assert.Equal(whole.Vocabulary, parts.Vocabulary);
        Assert.Equal(whole.Train, parts.Train);
        Assert.Equal(whole.Test, parts.Test);
        Assert.Equal(0, parts.Vocabulary.Find(' '));
    }

    [Theory]
    [InlineData("", "too short")]
    [InlineData("ab", "too short")]
    [InlineData("The quick brown fox jumps over the lazy dog and then runs away from it as fast as it can go until the night", "character 1 is 'T'")]
    [InlineData("the quick brown fox\njumps over the lazy dog and then runs away from it as fast as it can go until the night", "character 20 is byte 10")]
    public void AFileThatIsNoCorpusIsRefused(string text, string expected)
    {
        var path = Path.Combine(_folder, "corpus");
        File.WriteAllText(path, text);
        Assert.Contains(expected, Assert.Throws<UserException>(() => TextCorpus.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ACharacterOutsideTheModelsVocabularyIsNamedWithItsPlace()
    {
        var path = Path.Combine(_folder, "corpus");
        File.WriteAllText(path, string.Concat(Enumerable.Repeat("the quick brown fox ", 20)));
        var message = Assert.Throws<UserException>(() => TextCorpus.Open(path, new(" thequickbrown"))).Message;
        Assert.Contains("character 17 is 'f'", message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATextThatIsTooShortForItsStreamsIsRefused() =>
        Assert.Contains("too few for 8 streams", Assert.Throws<UserException>(() => new TextStreams(new byte[9], 8, 4, 0, null, "training")).Message, StringComparison.Ordinal);

    [Fact]
    public void AUnigramVocabularyOfATextSpellsItWithLongPieces()
    {
        const string text = "working walking talking working talking walked talked worked the walker the talker the worker ";
        var bytes = System.Text.Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(text, 5)));
        var vocabulary = CharVocabulary.Of([bytes]);
        var model = new UnigramTrainer(24).Train(vocabulary, vocabulary.Encode(bytes, "the text"));
        Assert.InRange(model.Pieces.Count, 15, 24);
        Assert.All(vocabulary.Symbols.Trim(), symbol => Assert.Contains(model.Pieces, piece => piece.Text == $"{symbol}"));
        Assert.True(model.Segment("the").Count < 4);
        var pieces = model.Segment("working");
        Assert.InRange(pieces.Count, 1, 4);
        Assert.Equal("▁working", string.Concat(pieces));
        Assert.Contains("zebra", Assert.Throws<UserException>(() => model.Segment("zebra")).Message, StringComparison.Ordinal);
        Assert.Contains("too small", Assert.Throws<UserException>(() => new UnigramTrainer(5).Train(vocabulary, vocabulary.Encode(bytes, "the text"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ASentencePieceFileIsRead()
    {
        // Three pieces: an ordinary one, an unknown one (type 2), one whose type is left out.
        byte[] Piece(string text, float score, byte? type)
        {
            var name = System.Text.Encoding.UTF8.GetBytes(text);
            byte[] content = [0x0A, (byte)name.Length, .. name, 0x15, .. BitConverter.GetBytes(score), .. type is { } kind ? new byte[] { 0x18, kind } : []];
            return [0x0A, (byte)content.Length, .. content];
        }

        var path = Path.Combine(_folder, "spm.model");
        File.WriteAllBytes(path, [.. Piece("▁ab", -1.5f, 1), .. Piece("<unk>", 0, 2), .. Piece("c", -2, null), 0x12, 0x02, 0x08, 0x01]);
        Assert.Equal([new("▁ab", -1.5f), new("c", -2)], UnigramModel.Load(path).Pieces);
        File.WriteAllBytes(path, [0x0A, 0x7F, 0x01]);
        Assert.Contains("no Unigram vocabulary", Assert.Throws<UserException>(() => UnigramModel.Load(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SampledTextShowsItsBoundariesAndIsAFunctionOfTheSeed()
    {
        using var folder = new LmModelFolder(Tiny("whitespaces"), new(Config("whitespaces"), " abcdefghij", 16), null);
        string Write(long seed) => new LmSampler(folder, 1, 16, seed).Write("abc def ", 30);
        var text = Write(1);
        Assert.StartsWith("abc |def |", text, StringComparison.Ordinal);
        Assert.Equal(38, text.Count(character => character != LmSampler.Boundary));
        Assert.Equal(text, Write(1));
        Assert.NotEqual(text, Write(2));
        Assert.Contains("'z'", Assert.Throws<UserException>(() => new LmSampler(folder, 1, 16, 0).Write("zoo", 1)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EvaluationReadsContextAndCountsEveryCharacterOnce()
    {
        using var model = Tiny("gumbel");
        var text = Enumerable.Range(0, 203).Select(index => (byte)(index * 7 % 11)).ToArray();
        var evaluation = new LmEvaluation(8, 20, 2, null);
        var score = evaluation.Run(model, evaluation.Streams(text, null, "a test"), SilentProgress.Instance);
        Assert.Equal(2 * 100, score.Characters);
        Assert.Equal(score.Loss / Math.Log(2), score.BitsPerCharacter);
        Assert.InRange(score.BitsPerCharacter, 3, 4);
        Assert.NotNull(score.Match);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static DynamicPoolingConfig Config(string type) => new()
    {
        Vocabulary = 11,
        Width = 16,
        Heads = 2,
        HeadWidth = 8,
        Inner = 32,
        LayersBefore = type == "none" ? 4 : 1,
        LayersPooled = type == "none" ? 0 : 2,
        LayersAfter = type == "none" ? 0 : 1,
        Boundaries = type,
    };

    private static DynamicPoolingLm Tiny(string type) => DynamicPoolingLm.Initialize(Config(type), seed: 3);
}
