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
    private static readonly Dictionary<string, torch.Tensor> _expected = GoldenTensors.Load("clip", "tiny_clip_acts.safetensors");

    [IntegerFact]
    public void PackedLayersGiveTheSameFeatures()
    {
        foreach (var (variant, quickGelu) in new[] { ("gelu", false), ("quickgelu", true) })
        {
            using var noGradient = torch.no_grad();
            using var scope = torch.NewDisposeScope();
            using var model = TinyClip.Load(config => config with { QuickGelu = quickGelu }, new OneDnnBackend(ExecutionMode.Simulated));
            GoldenTensors.AssertClose(_expected[$"{variant}.image_features_raw"], model.Vision.Encode(_expected["in.image"]), 1e-4);
            GoldenTensors.AssertClose(_expected[$"{variant}.text_features_raw"], model.Text!.Encode(_expected["in.text"]), 1e-4);
        }
    }

    [Theory]
    [InlineData("gelu", false)]
    [InlineData("quickgelu", true)]
    public void ActivationsMatch(string variant, bool quickGelu)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        using var model = TinyClip.Load(config => config with { QuickGelu = quickGelu });
        var (image, text) = (_expected["in.image"], _expected["in.text"]);
        torch.Tensor Expected(string name) => _expected[$"{variant}.{name}"];

        GoldenTensors.AssertClose(Expected("visual.conv1"), model.Vision.Patches.Apply(image), 1e-4);
        GoldenTensors.AssertClose(Expected("visual.embed_ln_pre"), model.Vision.Embed(image).Tokens, 1e-4);
        var visual = new RecordingProbe();
        GoldenTensors.AssertClose(Expected("image_features_raw"), model.Vision.Encode(image, visual), 1e-4);
        for (var block = 0; block < model.Vision.Blocks.Count; block++)
        {
            GoldenTensors.AssertClose(Expected($"visual.block{block}"), visual[block, ActivationKind.BlockOutput], 1e-4);
        }

        GoldenTensors.AssertClose(Expected("visual.block0.ln_1"), visual[0, ActivationKind.AttentionNorm], 1e-4);
        GoldenTensors.AssertClose(Expected("visual.block0.attn_out"), visual[0, ActivationKind.AttentionOut], 1e-4);
        GoldenTensors.AssertClose(Expected("visual.block0.ln_2"), visual[0, ActivationKind.MlpNorm], 1e-4);
        GoldenTensors.AssertClose(Expected("visual.block0.mlp_fc"), visual[0, ActivationKind.MlpIn], 1e-4);
        GoldenTensors.AssertClose(Expected("visual.block0.mlp_act"), visual[0, ActivationKind.MlpHidden], 1e-4);
        GoldenTensors.AssertClose(Expected("visual.block0.mlp_out"), visual[0, ActivationKind.MlpOut], 1e-4);
        var last = visual[model.Vision.Blocks.Count - 1, ActivationKind.BlockOutput];
        GoldenTensors.AssertClose(Expected("visual.tokens_ln_post"), model.Vision.FinalNorm.Apply(last), 1e-4);

        var textual = new RecordingProbe();
        GoldenTensors.AssertClose(Expected("text_features_raw"), model.Text!.Encode(text, textual), 1e-4);
        GoldenTensors.AssertClose(Expected("text.embed"), textual[0, ActivationKind.BlockInput], 1e-4);
        for (var block = 0; block < model.Text.Blocks.Count; block++)
        {
            GoldenTensors.AssertClose(Expected($"text.block{block}"), textual[block, ActivationKind.BlockOutput], 1e-4);
        }

        var final = textual[model.Text.Blocks.Count - 1, ActivationKind.BlockOutput];
        GoldenTensors.AssertClose(Expected("text.ln_final"), model.Text.FinalNorm.Apply(final), 1e-4);

        var images = ZeroShotClassifier.Normalize(model.Vision.Encode(image));
        var texts = ZeroShotClassifier.Normalize(model.Text.Encode(text));
        GoldenTensors.AssertClose(Expected("image_features"), images, 1e-4);
        GoldenTensors.AssertClose(Expected("text_features"), texts, 1e-4);
        GoldenTensors.AssertClose(Expected("logits_per_image"), model.Logits(images, texts), 1e-3);
        GoldenTensors.AssertClose(Expected("logits_per_text"), model.Logits(images, texts).t(), 1e-3);
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

        var labels = expected["target"].data<long>().ToArray();
        var top = classifier.Top(features, 5).data<long>().ToArray();
        int Correct(int count) => labels.Where((label, image) => top.AsSpan(image * 5, count).Contains(label)).Count();
        Assert.Equal(expected["top1_correct"].ToInt64(), Correct(1));
        Assert.Equal(expected["top5_correct"].ToInt64(), Correct(5));
    }

    private sealed class RecordingProbe : IActivationProbe
    {
        private readonly Dictionary<(int, ActivationKind), torch.Tensor> _seen = [];

        public torch.Tensor this[int block, ActivationKind kind] => _seen[(block, kind)];

        public bool Wants(int block, ActivationKind kind) => true;

        public void Observe(int block, ActivationKind kind, torch.Tensor value) =>
            _seen[(block, kind)] = value.clone().DetachFromDisposeScope();
    }
}
