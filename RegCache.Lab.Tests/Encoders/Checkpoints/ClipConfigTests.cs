using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>Configurations: names, files, shapes, and what is refused.</summary>
public class ClipConfigTests
{
    /// <summary>Parameters of the published models: name, total, vision, text.</summary>
    [Theory]
    [InlineData("ViT-B-32", 151_277_313, 87_849_216, 63_428_096)]
    [InlineData("ViT-B/16", 149_620_737, 86_192_640, 63_428_096)]
    [InlineData("ViT-L-14-quickgelu", 427_616_513, 303_966_208, 123_650_304)]
    [InlineData("ViT-L-14-336", 427_944_193, 304_293_888, 123_650_304)]
    public void PublishedModelsHaveTheirNumberOfParameters(string name, long total, long vision, long text)
    {
        var parameters = ClipParameters.Of(ClipConfigs.Get(name));
        long Count(Func<string, bool> which) =>
            parameters.Where(parameter => which(parameter.Name)).Sum(parameter => parameter.Shape.Aggregate(1L, (product, size) => product * size));

        Assert.Equal(total, Count(_ => true));
        Assert.Equal(vision, Count(parameter => parameter.StartsWith("visual.", StringComparison.Ordinal)));
        Assert.Equal(text, Count(parameter => !parameter.StartsWith("visual.", StringComparison.Ordinal) && parameter != "logit_scale"));
        Assert.Equal(name.EndsWith("-quickgelu", StringComparison.Ordinal), ClipConfigs.Get(name).QuickGelu);
    }

    [Fact]
    public void NumbersOfStateDictEntries()
    {
        Assert.Equal(302, ClipParameters.Of(ClipConfigs.Get("ViT-B-32")).Count);
        Assert.Equal(446, ClipParameters.Of(ClipConfigs.Get("ViT-L-14")).Count);
    }

    [Fact]
    public void UnknownNamesAreRefusedWithTheKnownOnes() =>
        Assert.Contains("ViT-B-32", Assert.Throws<UserException>(() => ClipConfigs.Get("RN34")).Message, StringComparison.Ordinal);

    [Fact]
    public void EveryNamedConfigurationSurvivesJsonAndIsInferredFromItsShapes()
    {
        foreach (var name in ClipConfigs.Names)
        {
            var config = ClipConfigs.Get(name);
            Assert.Equal(config, Parse(ClipConfigJson.ToJson(config)));
            if (config.Vision.HeadWidth == 64)
            {
                var state = new StateDict(name, ClipParameters.Of(config).Select(parameter => Empty(parameter.Name, parameter.Shape)));
                Assert.Equal(config with { QuickGelu = false }, ClipArchitecture.Infer(state));
            }
        }
    }

    [Fact]
    public void EveryFieldSurvivesJson()
    {
        var config = new ClipConfig
        {
            EmbedDim = 12,
            QuickGelu = true,
            CustomText = true,
            InitLogitScale = 2.25,
            InitLogitBias = -10,
            NonscalarLogitScale = true,
            Vision = new VisionConfig
            {
                Layers = 3, Width = 32, HeadWidth = 16, MlpRatio = 2.5, PatchSize = 4, ImageSize = (16, 24), LayerScaleInit = 1e-4, PatchDropout = 0.25,
                NoLnPre = true, FinalLnAfterPool = true, PoolType = VisionPooling.Average, Epsilon = 1e-6,
            },
            Text = new TextConfig
            {
                ContextLength = 9, VocabSize = 600, Width = 24, Heads = 3, Layers = 2, MlpRatio = 3, LayerScaleInit = 1e-5, PadId = 1, NoCausalMask = true,
                FinalLnAfterPool = true, PoolType = TextPooling.Last, ProjBias = true, Cleaning = TextCleaning.Canonicalize, Epsilon = 1e-6,
            },
        };

        Assert.Equal(config, Parse(ClipConfigJson.ToJson(config)));
        var named = config with { Vision = config.Vision with { ImageSize = (16, 16), PositionEmbedding = PositionEmbeddingKind.SinCos2D } };
        Assert.Equal(named, Parse(ClipConfigJson.ToJson(named)));
    }

    [Theory]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"timm_model_name":"convnext_base"},"text_cfg":{}}""", "timm model convnext_base")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{},"text_cfg":{"hf_model_name":"roberta-base"}}""", "roberta-base")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{},"text_cfg":{},"multimodal_cfg":{"layers":12}}""", "CoCa")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"attentional_pool":true},"text_cfg":{}}""", "attentional_pool")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"act_kwargs":{"approximate":"tanh"}},"text_cfg":{}}""", "tanh")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"qk_norm":true},"text_cfg":{}}""", "vision_cfg.qk_norm")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"width":100},"text_cfg":{}}""", "multiple of the head width")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"width":"big"},"text_cfg":{}}""", "vision_cfg.width")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"width":-64},"text_cfg":{}}""", "vision_cfg.width")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"patch_size":[16,8]},"text_cfg":{}}""", "square")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"image_size":8,"patch_size":16},"text_cfg":{}}""", "no whole patch")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{"pool_type":"max"},"text_cfg":{}}""", "\"tok\" or \"avg\" or \"none\"")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{},"text_cfg":{"heads":7}}""", "number of heads 7")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{},"text_cfg":{"pad_id":50000}}""", "pad id 50000")]
    [InlineData("""{"embed_dim":8,"vision_cfg":{},"text_cfg":{"proj_type":"none"}}""", "without projection")]
    [InlineData("""{"vision_cfg":{},"text_cfg":{}}""", "embed_dim")]
    [InlineData("""{"embed_dim":8}""", "no CLIP configuration")]
    [InlineData("""[]""", "must be a JSON object")]
    [InlineData("""{"model_type":"siglip","vision_config":{}}""", "siglip")]
    [InlineData("""{"vision_config":{"hidden_act":"gelu_pytorch_tanh"}}""", "hidden_act")]
    [InlineData("""{"vision_config":{"num_attention_heads":7}}""", "num_attention_heads")]
    [InlineData("""{"vision_config":{},"text_config":{"hidden_act":"gelu"}}""", "differs")]
    public void UnsupportedConfigurationsAreRefused(string json, string complaint)
    {
        var error = Assert.Throws<UserException>(() => Parse(json));

        Assert.Contains(complaint, error.Message, StringComparison.Ordinal);
        Assert.Contains("test.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AbsentFieldsHaveUpstreamsDefaults()
    {
        var config = Parse("""{"model_cfg":{"embed_dim":512,"vision_cfg":{"attn_pooler_heads":8,"timm_pool":"avg","qk_norm":false,"output_tokens":true},"text_cfg":null}}""");

        Assert.Equal(new VisionConfig(), config.Vision);
        Assert.Null(config.Text);
        Assert.Equal(Math.Log(1 / 0.07), config.InitLogitScale, 12);
    }

    [Fact]
    public void HuggingFaceDefaultsAreThoseOfViTB32()
    {
        var config = Parse("""{"model_type":"clip","text_config":{},"vision_config":{}}""");

        Assert.Equal(ClipConfigs.Get("ViT-B-32-quickgelu"), config);
    }

    [Theory]
    [InlineData("openai", "ViT-B-16", true)]
    [InlineData("OpenAI", "ViT-L-14-336", true)]
    [InlineData("laion400m_e32", "ViT-B-32", true)]
    [InlineData("laion400m-e31", "ViT-B-32", true)]
    [InlineData("laion400m_e32", "ViT-B-16", false)]
    [InlineData("metaclip_fullcc", "ViT-L-14", true)]
    [InlineData("metaclip_400m", "ViT-B-32", true)]
    [InlineData("metaclip_altogether", "ViT-H-14", false)]
    [InlineData("metaclip2_worldwide", "ViT-H-14-378", false)]
    [InlineData("dfn2b", "ViT-B-16", true)]
    [InlineData("dfn5b", "ViT-H-14-378", true)]
    [InlineData("dfn2b_s39b", "ViT-L-14", false)]
    [InlineData("laion2b_s34b_b79k", "ViT-B-32", false)]
    [InlineData("my-openai-finetune", "ViT-B-32", false)]
    [InlineData("not_metaclip", "ViT-B-32", false)]
    [InlineData(null, "ViT-B-32", false)]
    public void TheActivationOfPublishedWeightsIsKnownByTheirTag(string? tag, string name, bool quick)
    {
        var (config, weights) = (ClipConfigs.Get(name), new WeightOrigin(tag, "weights.pt"));
        List<string> told = [];

        Assert.Equal(quick, QuickGeluRule.Apply(config, ActivationOrigin.Default, weights, assumptions: told).QuickGelu);
        Assert.Equal(quick ? 1 : 0, told.Count);
        Assert.False(QuickGeluRule.Apply(config, ActivationOrigin.Default, weights, literal: true).QuickGelu);
        Assert.False(QuickGeluRule.Apply(config, ActivationOrigin.Said, weights).QuickGelu);
        Assert.True(QuickGeluRule.Apply(config with { QuickGelu = true }, ActivationOrigin.Said, weights).QuickGelu);
    }

    [Theory]
    [InlineData("vit_b_32-quickgelu-laion400m_e32-46683a32.pt", true)]
    [InlineData("b16_fullcc2.5b.pt", true)]
    [InlineData("vit_b_32-laion2b_e16-af8dbd0c.pth", false)]
    [InlineData("openai-like.pt", false)]
    public void PublishedFilesAreKnownByTheirWholeName(string file, bool quick) =>
        Assert.Equal(quick, QuickGeluRule.Apply(ClipConfigs.Get("ViT-B-32"), ActivationOrigin.Default, new("local", file)).QuickGelu);

    [Fact]
    public void OpenAisArchivesRunTheQuickGeluAndAnActivationThatNothingNamesIsTold()
    {
        var config = ClipConfigs.Get("ViT-B-32");
        List<string> told = [];

        Assert.True(QuickGeluRule.Apply(config, ActivationOrigin.Unknown, new("local", "ViT-B-32.pt", IsOpenAi: true), assumptions: told).QuickGelu);
        Assert.Contains("quick GELU", Assert.Single(told), StringComparison.Ordinal);
        Assert.False(QuickGeluRule.Apply(config, ActivationOrigin.Unknown, new("local", "tmp.pt"), assumptions: told).QuickGelu);
        Assert.Contains("--pretrained openai", told[1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"model_cfg":{"embed_dim":8,"quick_gelu":false,"vision_cfg":{}}}""", true)]
    [InlineData("""{"model_cfg":{"embed_dim":8,"vision_cfg":{}}}""", false)]
    [InlineData("""{"embed_dim":8,"vision_cfg":{}}""", false)]
    [InlineData("""{"embed_dim":8,"quick_gelu":true,"vision_cfg":{}}""", true)]
    [InlineData("""{"model_type":"clip","vision_config":{}}""", true)]
    [InlineData("""{"model_type":"clip_vision_model"}""", true)]
    public void WhetherAConfigurationNamesItsActivation(string json, bool said)
    {
        using var document = JsonDocument.Parse(json);
        Assert.Equal(said, ClipConfigJson.NamesActivation(document.RootElement));
    }

    [Theory]
    [InlineData("ViT-H-14", 16)]
    [InlineData("ViT-g-14", 16)]
    [InlineData("ViT-bigG-14", 16)]
    [InlineData("ViT-B-16-plus", 14)]
    public void HeadsArePublishedAndTold(string name, int heads)
    {
        var config = ClipConfigs.Get(name);
        var state = new StateDict(name, ClipParameters.Of(config).Select(parameter => Empty(parameter.Name, parameter.Shape)));
        List<string> told = [];
        var found = ClipArchitecture.Infer(state, assumptions: told);

        Assert.Equal(heads, found.Vision.Heads);
        Assert.Equal(config.Text!.Heads, found.Text!.Heads);
        Assert.Equal(2, told.Count);
        Assert.Contains($"as in {name};", told[0], StringComparison.Ordinal);
        Assert.All(told, sentence => Assert.Contains("--model-config", sentence, StringComparison.Ordinal));
        Assert.Equal(8, ClipArchitecture.Infer(state, heads: 8).Vision.Heads);
    }

    [Theory]
    [InlineData(320)]
    [InlineData(128)]
    [InlineData(1152)]
    [InlineData(48)]
    public void HeadsThatNothingTellsAreAskedFor(int width)
    {
        var config = new ClipConfig { EmbedDim = 32, Vision = new() { Layers = 1, Width = width, HeadWidth = width, PatchSize = 16, ImageSize = (32, 32) } };
        var state = new StateDict("bare.safetensors", ClipParameters.Of(config).Select(parameter => Empty(parameter.Name, parameter.Shape)));

        var message = Assert.Throws<UserException>(() => ClipArchitecture.Infer(state)).Message;
        Assert.Contains("--heads or --model-config", message, StringComparison.Ordinal);
        Assert.Contains("bare.safetensors", message, StringComparison.Ordinal);
        Assert.Equal(4, ClipArchitecture.Infer(state, heads: 4).Vision.Heads);
        Assert.Contains("7 heads", Assert.Throws<UserException>(() => ClipArchitecture.Infer(state, heads: 7)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1280, 32, 5120, 16)]
    [InlineData(1152, 27, 4304, 16)]
    [InlineData(192, 12, 768, 3)]
    [InlineData(768, 8, 2304, 8)]
    [InlineData(768, 12, 3072, 12)]
    [InlineData(64, 2, 256, 1)]
    public void HeadsOfPlainClassifiers(int width, int layers, int hidden, int heads) =>
        Assert.Equal(heads, PublishedModels.HeadsOf(PublishedModels.All.Classifier, width, layers, hidden)!.Value.Heads);

    [Fact]
    public void WidthsWhosePublishedModelsDisagreeTellNothing()
    {
        Assert.Null(PublishedModels.HeadsOf(PublishedModels.All.Classifier, 768, 6, 3072));
        Assert.Null(PublishedModels.HeadsOf(PublishedModels.All.Classifier, 320, 14, 1792));
    }

    [Fact]
    public void PublishedHeadsDivideTheirWidths() =>
        Assert.All(
            PublishedModels.All.Vision.Concat(PublishedModels.All.Text).Concat(PublishedModels.All.Classifier),
            tower => Assert.Equal(0, tower.Width % tower.Heads));

    [Fact]
    public void HiddenWidthsSurviveTheRatio()
    {
        foreach (var width in new[] { 384, 768, 1152, 1408 })
        {
            for (var hidden = 1; hidden < 5000; hidden += 7)
            {
                Assert.Equal(hidden, (int)(width * MlpRatios.Of(hidden, width)));
            }
        }
    }

    private static ClipConfig Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return ClipConfigJson.Parse(document.RootElement, "test.json");
    }

    // A tensor of the shape that takes no memory, as nobody reads it.
    private static WeightEntry Empty(string name, long[] shape) =>
        new(name, TorchSharp.torch.ScalarType.Float32, shape, () => throw new InvalidOperationException());
}
