using RegCache.Lab.Data;
using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Tests.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Tests.Encoders;

[Trait("Category", "Golden")]
public sealed class ClipGoldenTests
{
    private const string ImageFeatures = "image_features_raw";

    private static readonly Dictionary<string, torch.Tensor> _expected = GoldenTensors.Load("clip", "tiny_clip_acts.safetensors");

    // What the file calls the parts of a block; the block itself is its output.
    private static readonly Dictionary<string, ActivationKind> _parts = new()
    {
        [""] = ActivationKind.BlockOutput,
        ["ln_1"] = ActivationKind.AttentionNorm,
        ["attn_out"] = ActivationKind.AttentionOut,
        ["ln_2"] = ActivationKind.MlpNorm,
        ["mlp_fc"] = ActivationKind.MlpIn,
        ["mlp_act"] = ActivationKind.MlpHidden,
        ["mlp_out"] = ActivationKind.MlpOut,
    };

    /// <summary>The activations of which the file holds values, as it spells them.</summary>
    public static TheoryData<string> Variants => [.. VariantNames];

    private static IEnumerable<string> VariantNames =>
        _expected.Keys.Where(key => key.EndsWith($".{ImageFeatures}", StringComparison.Ordinal)).Select(key => key[..^(ImageFeatures.Length + 1)]);

    [IntegerFact]
    public void PackedLayersGiveTheSameFeatures()
    {
        foreach (var variant in VariantNames)
        {
            using var noGradient = torch.no_grad();
            using var scope = torch.NewDisposeScope();
            using var model = Model(variant, new OneDnnBackend(ExecutionMode.Simulated));
            GoldenTensors.AssertClose(_expected[$"{variant}.{ImageFeatures}"], model.Vision.Encode(_expected["in.image"]), 1e-4);
            GoldenTensors.AssertClose(_expected[$"{variant}.text_features_raw"], model.Text!.Encode(_expected["in.text"]), 1e-4);
        }
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void ActivationsMatch(string variant)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        using var model = Model(variant);
        var (image, text) = (_expected["in.image"], _expected["in.text"]);
        var (visual, textual) = (new RecordingProbe(), new RecordingProbe());
        var (imageFeatures, textFeatures) = (model.Vision.Encode(image, visual), model.Text!.Encode(text, textual));
        var (images, texts) = (ZeroShotClassifier.Normalize(imageFeatures), ZeroShotClassifier.Normalize(textFeatures));
        torch.Tensor Actual(string name) => name.Split('.') switch
        {
            ["visual", "conv1"] => model.Vision.Patches.Apply(image),
            ["visual", "embed_ln_pre"] => model.Vision.Embed(image).Tokens,
            ["visual", "tokens_ln_post"] => model.Vision.FinalNorm.Apply(visual[model.Vision.Blocks.Count - 1, ActivationKind.BlockOutput]),
            ["text", "embed"] => textual[0, ActivationKind.BlockInput],
            ["text", "ln_final"] => model.Text.FinalNorm.Apply(textual[model.Text.Blocks.Count - 1, ActivationKind.BlockOutput]),
            [var tower, var block, .. var part] => (tower == "visual" ? visual : textual)[int.Parse(block["block".Length..]), _parts[string.Concat(part)]],
            [ImageFeatures] => imageFeatures,
            ["text_features_raw"] => textFeatures,
            ["image_features"] => images,
            ["text_features"] => texts,
            ["logits_per_image"] => model.Logits(images, texts),
            ["logits_per_text"] => model.Logits(images, texts).t(),
            _ => throw new InvalidDataException(name),
        };
        foreach (var (key, expected) in _expected.Where(pair => pair.Key.StartsWith($"{variant}.", StringComparison.Ordinal)))
        {
            var name = key[(variant.Length + 1)..];
            GoldenTensors.AssertClose(expected, Actual(name), name.StartsWith("logits", StringComparison.Ordinal) ? 1e-3 : 1e-4);
        }
    }

    [Fact]
    public void PlansWithoutChangesEqualThePlainEncoder()
    {
        using var noGradient = torch.no_grad();
        using var model = TinyClip.Load();
        using var plain = model.Vision.Encode(_expected["in.image"]);
        using var runner = new PlanRunner(model.Vision);
        using var planned = runner.Run(_expected["in.image"], EncoderPlan.Plain(model.Vision.Blocks.Count));
        GoldenTensors.AssertIdentical(plain, planned);
    }

    [Fact]
    public void ResizedPositionEmbeddingGivesTheFeatures()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var expected = GoldenTensors.Load("clip", "pos_embed.safetensors");
        var image = expected["model.image"];
        var size = ((int)image.shape[2], (int)image.shape[3]);
        using var model = TinyClip.Load(config => config with { Vision = config.Vision with { ImageSize = size } });
        GoldenTensors.AssertClose(expected["model.positional_embedding"], model.Weights["visual.positional_embedding"], 2e-5);
        GoldenTensors.AssertClose(expected["model.image_features"], model.Vision.Encode(image), 1e-4);
    }

    [ExternalFact("clip", "bpe_tiny.txt.gz")]
    public void ZeroShotClassifierMatches()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        using var model = TinyClip.Load();
        var settings = JsonDocument.Parse(File.ReadAllText(Goldens.Path("clip", "zero_shot.json"))).RootElement;
        var expected = GoldenTensors.Load("clip", "zero_shot.safetensors");
        string[] Texts(string name) => [.. settings.GetProperty(name).EnumerateArray().Select(text => text.GetString()!)];
        using var classifier = ZeroShotClassifier.FromPrompts(
            model.Text!, TinyClip.Tokenizer(), Texts("classnames"), Texts("templates"));
        GoldenTensors.AssertClose(expected["classifier"], classifier.Weights, 1e-5);
        var features = ZeroShotClassifier.Normalize(model.Vision.Encode(expected["image"]));
        GoldenTensors.AssertClose(expected["logits"], classifier.Logits(features), 1e-3);

        using var images = new MemoryImageSource(expected["image"], [.. expected["target"].data<long>().Select(label => (int)label)]);
        var score = PlanEvaluation.Run(model.Vision, classifier, images, new([EncoderPlan.Plain(model.Vision.Blocks.Count)]), new("scores", 2)).Single();
        Assert.Equal((expected["top1_correct"].ToInt64(), expected["top5_correct"].ToInt64()), (score.Correct, score.CorrectTop5));
    }

    private static ClipModel Model(string variant, IBackend? backend = null) =>
        TinyClip.Load(config => config with { QuickGelu = GoldenReadme.IsQuickGelu(variant) }, backend);

    private sealed class RecordingProbe : IActivationProbe
    {
        private readonly Dictionary<(int, ActivationKind), torch.Tensor> _seen = [];

        public torch.Tensor this[int block, ActivationKind kind] => _seen[(block, kind)];

        public bool Wants(int block, ActivationKind kind) => true;

        public void Observe(int block, ActivationKind kind, torch.Tensor value) =>
            _seen[(block, kind)] = value.clone().DetachFromDisposeScope();
    }
}
