using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Registers;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Encoders;
using RegCache.Lab.Tests.Reports;
using TorchSharp;

namespace RegCache.Lab.Tests.Evaluation;

/// <summary>Arrays equal what the encoders give, and files hold them.</summary>
public sealed class FeatureExtractionTests : IDisposable
{
    private const int Images = 5;
    private const int Batch = 2;
    private readonly TemporaryFolder _folder = new();
    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny);
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    private EncoderPlan Plain => EncoderPlan.Plain(_model.Vision.Blocks.Count);

    public void Dispose()
    {
        _scope.Dispose();
        _model.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void FeaturesAndInputsAreTheEncodersOwn()
    {
        var arrays = OfImages(Plain, new() { Inputs = true, Features = true });
        Assert.Equal(["image_pixels", "image_features"], arrays.Keys);
        Assert.Equal([Images, 3, 32, 24], arrays["image_pixels"].shape);
        using var noGradient = torch.no_grad();
        for (var first = 0; first < Images; first += Batch)
        {
            var count = Math.Min(Batch, Images - first);
            GoldenTensors.AssertIdentical(
                _model.Vision.Encode(arrays["image_pixels"].narrow(0, first, count)), arrays["image_features"].narrow(0, first, count).clone());
        }

        var normalised = OfImages(Plain, new() { Features = true, Normalize = true })["image_features"];
        GoldenTensors.AssertClose(ZeroShotClassifier.Normalize(arrays["image_features"]), normalised, 0);
    }

    [Fact]
    public void TokensAreTheStreamAfterEachBlock()
    {
        var arrays = OfImages(Plain, new() { Inputs = true, Blocks = [FeatureRequest.Input, 1, FeatureRequest.Last, 3], Features = true });
        Assert.Equal(["image_pixels", "image_tokens.input", "image_tokens.block1", "image_tokens.block3", "image_features"], arrays.Keys);
        using var noGradient = torch.no_grad();
        var first = arrays["image_pixels"].narrow(0, 0, Batch);
        GoldenTensors.AssertIdentical(_model.Vision.Embed(first).Tokens, arrays["image_tokens.input"].narrow(0, 0, Batch).clone());
        foreach (var block in new[] { 1, 3 })
        {
            GoldenTensors.AssertIdentical(
                _model.Vision.Forward(first, block + 1).Tokens, arrays[$"image_tokens.block{block}"].narrow(0, 0, Batch).clone());
        }

        GoldenTensors.AssertClose(_model.Vision.Encode(first), arrays["image_features"].narrow(0, 0, Batch), 1e-5);
    }

    [Theory]
    [InlineData(TokenKinds.Class, 0, 1)]
    [InlineData(TokenKinds.Patches, 1, 12)]
    [InlineData(TokenKinds.All, 0, 13)]
    [InlineData(TokenKinds.Class | TokenKinds.Registers, 0, 1)]
    public void KindsOfTokensAreChosenByTheLayout(TokenKinds kinds, int first, int count)
    {
        var all = OfImages(Plain, new() { Blocks = [0] })["image_tokens.block0"];
        var chosen = OfImages(Plain, new() { Blocks = [0], Tokens = kinds })["image_tokens.block0"];
        GoldenTensors.AssertIdentical(all.narrow(1, first, count), chosen);
    }

    [Fact]
    public void TokensThatAreNotThereAreRefused() =>
        Assert.Contains("registers 0", Assert.Throws<UserException>(() => OfImages(Plain, new() { Blocks = [0], Tokens = TokenKinds.Registers })).Message);

    [Fact]
    public void ABlockThatIsNotThereIsRefused() =>
        Assert.Contains("--blocks 4: the image encoder has 4 blocks", Assert.Throws<UserException>(() => OfImages(Plain, new() { Blocks = [4] })).Message);

    [Fact]
    public void StagesThatRemoveOrMergeTokensSayWhichAreLeft()
    {
        var deleting = new RegCacheSetting(0, 0, 1, 2).ApplyTo(Plain, null);
        var deleted = OfImages(deleting, new() { Blocks = [0, 2] });
        Assert.Equal(["image_tokens.block0", "image_tokens.block2", "image_positions.block2"], deleted.Keys);
        Assert.Equal([Images, 11, 24], deleted["image_tokens.block2"].shape);
        var positions = deleted["image_positions.block2"];
        Assert.Equal(torch.ScalarType.Int64, positions.dtype);
        Assert.All(positions.data<long>().ToArray().Chunk(11), row => Assert.Equal(row.Order().Distinct(), row));

        var merged = OfImages(MergingSetting.ToMe(2).ApplyTo(Plain), new() { Blocks = [1] });
        Assert.Contains("image_sizes.block1", merged.Keys);
        GoldenTensors.AssertClose(torch.full([Images], 13f), merged["image_sizes.block1"].sum([1]), 0);
    }

    [Fact]
    public void TextsHaveIdsTokensAndFeatures()
    {
        var tokenizer = new Letters(_model.Text!.Config.ContextLength);
        string[] texts = ["cat", "dog", "a bird"];
        var arrays = ByName(FeatureExtraction.OfTexts(
            _model.Text, tokenizer, texts, new() { Inputs = true, Features = true, Blocks = [FeatureRequest.Input, FeatureRequest.Last] }, new("texts", Batch)));
        Assert.Equal(["text_ids", "text_tokens.input", "text_tokens.block1", "text_features"], arrays.Keys);
        using var noGradient = torch.no_grad();
        var ids = torch.tensor(tokenizer.EncodeBatch(texts), [texts.Length, tokenizer.ContextLength]);
        GoldenTensors.AssertIdentical(ids, arrays["text_ids"]);
        GoldenTensors.AssertIdentical(_model.Text.Embed(ids).Tokens, arrays["text_tokens.input"]);
        GoldenTensors.AssertClose(_model.Text.Encode(ids), arrays["text_features"], 1e-5);
        GoldenTensors.AssertClose(
            _model.Text.Project(new(arrays["text_tokens.block1"], new(0, 0, 1, tokenizer.ContextLength)), ids), arrays["text_features"], 1e-5);
    }

    [Fact]
    public void SafetensorsHoldAllArraysAndTheManifest()
    {
        NamedArray[] arrays = [new("a", torch.arange(6).reshape(2, 3)), new("b", torch.ones(2))];
        Assert.Equal([_folder["f.safetensors"]], FeatureFile.Write(_folder["f.safetensors"], arrays, Manifest));
        using var file = WeightFile.Open(_folder["f.safetensors"]);
        Assert.Equal(["a", "b"], file.Tensors.Select(entry => entry.Name));
        GoldenTensors.AssertIdentical(arrays[0].Values, file["a"].ToTensor());
        Assert.Equal("tiny", file.Metadata["model"]);
        Assert.Equal("""["one.png","two.png"]""", file.Metadata["images"]);
    }

    [Fact]
    public void NumpyHoldsOneArrayAndAFileBesideItSaysWhatItIs()
    {
        NamedArray[] arrays = [new("a", torch.arange(6)), new("b", torch.ones(2))];
        var error = Assert.Throws<UserException>(() => FeatureFile.Write(_folder["f.npy"], arrays, Manifest));
        Assert.Contains("one array, not 2: choose a name that ends in .safetensors", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Root));
        Assert.Equal([_folder["f.npy"], _folder["f.npy.json"]], FeatureFile.Write(_folder["f.npy"], arrays[..1], Manifest));
        Assert.Contains("\"model_sha256\": \"abc\"", File.ReadAllText(_folder["f.npy.json"]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("f.npz")]
    [InlineData("f")]
    [InlineData("npy")]
    public void OtherEndingsAreRefused(string name) =>
        Assert.Contains("says no format", Assert.Throws<UserException>(() => FeatureFile.Write(_folder[name], [], Manifest)).Message);

    [SmallDiskFact]
    public void AFullDiskLeavesNothing()
    {
        using var disk = SmallDisk.Mount(kilobytes: 64);
        foreach (var name in new[] { "f.npy", "f.safetensors" })
        {
            var error = Assert.Throws<UserException>(() => FeatureFile.Write(disk[name], [new("a", torch.ones(100_000))], Manifest));
            Assert.Contains("the disk is full", error.Message, StringComparison.Ordinal);
            Assert.Empty(Directory.GetFiles(disk[""]));
        }
    }

    private static FeatureManifest Manifest { get; } = new(
        new Dictionary<string, string> { ["a"] = "numbers" }, ["one.png", "two.png"], [], [], "tiny", "abc", "", [], "", "float", "", 2, "", DateTimeOffset.UnixEpoch, KitVersions.Current);

    private Dictionary<string, torch.Tensor> OfImages(EncoderPlan plan, FeatureRequest request) => ByName(FeatureExtraction.OfImages(
        _model.Vision, plan, new(new Noise(), new ImagePreprocessor(new(32, 24))), request, new("images", Batch)));

    private static Dictionary<string, torch.Tensor> ByName(IReadOnlyList<NamedArray> arrays) => arrays.ToDictionary(array => array.Name, array => array.Values);

    private sealed class Noise : IImageItems
    {
        public int Count => Images;

        public string Name(int index) => $"noise {index}";

        public DecodedImage Load(int index)
        {
            var pixels = new byte[40 * 30 * 3];
            new Random(index).NextBytes(pixels);
            return DecodedImage.FromPixels(40, 30, PixelLayout.Rgb, pixels);
        }
    }

    private sealed class Letters(int context) : ITokenizer
    {
        public int ContextLength => context;

        public long[] EncodeBatch(IReadOnlyList<string> texts) =>
            [.. texts.SelectMany(text => text.Select(letter => (long)(letter % 40)).Append(49).Concat(new long[context]).Take(context))];
    }
}
