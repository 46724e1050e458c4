using System.Text.Json;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using TorchSharp;

namespace RegCache.Lab.Tests.Registers;

/// <summary>The model, images, settings and expected values of the RegCache golden.</summary>
public class RegCacheGolden : IDisposable
{
    private readonly JsonElement _settings;
    private readonly Dictionary<string, torch.Tensor> _expected;

    public RegCacheGolden()
        : this(null)
    {
    }

    protected RegCacheGolden(IBackend? backend)
    {
        _settings = JsonDocument.Parse(File.ReadAllText(Goldens.Path("regcache", "config.json"))).RootElement;
        _expected = GoldenTensors.Load("regcache", "expected.safetensors");
        var tensors = GoldenTensors.Load("regcache", "model.safetensors");
        var classifier = tensors["classifier"];
        var images = GoldenTensors.Load("regcache", "data.safetensors");
        var size = images["search_images"].shape;
        Model = new(
            new ClipConfig
            {
                EmbedDim = (int)classifier.shape[0],
                QuickGelu = GoldenReadme.IsQuickGelu(Text("act")),
                Vision = new()
                {
                    Layers = Int("L"),
                    Width = Int("d"),
                    HeadWidth = Int("d") / Int("heads"),
                    MlpRatio = (double)tensors["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0] / Int("d"),
                    PatchSize = Int("patch"),
                    ImageSize = ((int)size[^2], (int)size[^1]),
                    Epsilon = _settings.GetProperty("ln_eps").GetDouble(),
                },
            },
            new WeightTable("the golden model", tensors),
            backend);
        Classifier = new(classifier.clone());
        Search = Source(images["search_images"], images["search_labels"]);
        Validation = Source(images["val_images"], images["val_labels"]);
        Options = new()
        {
            Bits = new(Int("w_bits"), Int("a_bits")),
            TopTokens = Int("topn"),
            MaxPrefix = Int("max_prefix"),
            MaxDelete = Int("max_delete"),
        };
        var layers = _settings.GetProperty("layer_order").EnumerateArray().Select(name => name.GetString());
        Assert.Equal(layers, LinearKinds.All.Select(kind => kind.Name()));
    }

    public ClipModel Model { get; }

    public VisionTower Tower => Model.Vision;

    public ZeroShotClassifier Classifier { get; }

    public MemoryImageSource Search { get; }

    public MemoryImageSource Validation { get; }

    public RegCacheOptions Options { get; }

    public NaiveQuantizer Quantizer => new(Options.Bits)
    {
        Scope = Enum.Parse<ActivationScope>(Text("scope"), ignoreCase: true),
    };

    public EncoderPlan Quantized => EncoderPlan.Uniform(Tower.Blocks.Count, Quantizer);

    public int Batch => Int("batch");

    public JsonElement Report => _settings.GetProperty("expected_report");

    public torch.Tensor Expected(string name) => _expected[name];

    public long ExpectedNumber(string name) => _expected[name].item<long>();

    public bool Has(string name) => _expected.ContainsKey(name);

    public EvaluationRun Pass(string title = "test") => new(title, Batch);

    /// <summary>The prefixes of the candidate blocks, made by the code under test.</summary>
    public IReadOnlyDictionary<int, PrefixCache> MakePrefixes()
    {
        ValueList<int> blocks = [.. Expected("stage2.candidates").data<long>().Select(block => (int)block)];
        var candidates = CandidateExtraction.Run(Tower, Search, blocks, Options.TopTokens, Options.ScoreTensor, Pass());
        return PrefixAveraging.Run(Tower, Search, candidates, Pass());
    }

    public void Dispose()
    {
        Model.Dispose();
        Classifier.Dispose();
        Search.Dispose();
        Validation.Dispose();
        GC.SuppressFinalize(this);
    }

    private MemoryImageSource Source(torch.Tensor pixels, torch.Tensor labels)
    {
        var offset = _settings.GetProperty("pixel_offset").GetDouble();
        var scale = _settings.GetProperty("pixel_scale").GetDouble();
        var images = (pixels.to(torch.ScalarType.Float32) - offset) * scale;
        return new(images, [.. labels.data<long>().Select(label => (int)label)]);
    }

    private int Int(string name) => _settings.GetProperty(name).GetInt32();

    private string Text(string name) => _settings.GetProperty(name).GetString()!;
}
