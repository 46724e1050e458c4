using System.Text.RegularExpressions;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

/// <summary>A tiny vision tower of the quantizer goldens, its images and its classifier.</summary>
internal sealed partial class VisionGolden : IDisposable
{
    public VisionGolden(string file, IBackend? backend = null)
    {
        var readme = new GoldenReadme("quantizers");
        LogitScale = readme.Number(Scale());
        BackwardBatch = (int)readme.Number(MiniBatch());
        Values = GoldenTensors.Load("quantizers", file);
        var weights = Values.Where(pair => pair.Key.StartsWith("visual.", StringComparison.Ordinal))
            .Select(pair => KeyValuePair.Create(pair.Key, pair.Value.clone()));
        var patches = Values["visual.conv1.weight"].shape;
        var size = Values["calib_images"].shape;
        var blocks = Values.Keys.Count(key => key.StartsWith("visual.", StringComparison.Ordinal) && key.EndsWith("ln_1.weight", StringComparison.Ordinal));
        Model = new(
            new ClipConfig
            {
                EmbedDim = (int)Values["visual.proj"].shape[1],
                QuickGelu = readme.IsQuickGelu(Activation()),
                Vision = new()
                {
                    Layers = blocks,
                    Width = (int)patches[0],
                    HeadWidth = (int)patches[0] / Heads(),
                    MlpRatio = (double)Values["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0] / patches[0],
                    PatchSize = (int)patches[2],
                    ImageSize = ((int)size[2], (int)size[3]),
                },
            },
            new WeightTable(file, weights),
            backend);
        Classifier = new(Values["classifier"].clone());
    }

    /// <summary>What the cosines with the classifier are multiplied by.</summary>
    public double LogitScale { get; }

    /// <summary>Images over which the goldens' loss is a mean.</summary>
    public int BackwardBatch { get; }

    public Dictionary<string, torch.Tensor> Values { get; }

    public ClipModel Model { get; }

    public ZeroShotClassifier Classifier { get; }

    public VisionTower Tower => Model.Vision;

    public EncoderPlan Plain => EncoderPlan.Plain(Tower.Blocks.Count);

    /// <summary>The bit pairs for which the file holds results.</summary>
    public IEnumerable<(string Prefix, QuantizationBits Bits)> Cases() => Values.Keys
        .Where(key => key.EndsWith(".test_logits", StringComparison.Ordinal) && key.StartsWith('w'))
        .Select(key => key.Split('.')[0])
        .Select(name => (name, QuantizationBits.Parse(name)));

    public CalibrationImages CalibrationImages() => new(Values["calib_images"].clone(), "golden");

    public torch.Tensor Logits(torch.Tensor images, EncoderPlan plan)
    {
        using var scope = torch.NewDisposeScope();
        using var runner = new PlanRunner(Tower);
        var features = ZeroShotClassifier.Normalize(runner.Run(images, plan));
        return (features.matmul(Classifier.Weights) * LogitScale).MoveToOuterDisposeScope();
    }

    public void AssertLogits(string name, torch.Tensor images, EncoderPlan plan, double tolerance)
    {
        using var logits = Logits(images, plan);
        GoldenTensors.AssertClose(Values[name], logits, tolerance);
    }

    public void Dispose()
    {
        Model.Dispose();
        Classifier.Dispose();
    }

    // The only tensors with a head axis are the goldens of the attention products.
    private int Heads() => (int)(Values.GetValueOrDefault("grad.block0.attn.av") ?? Values.First(
        pair => pair.Key.EndsWith(".block0.attn.av.B", StringComparison.Ordinal)).Value).shape[1];

    [GeneratedRegex(@"activation\s+`?(\w+)")]
    private static partial Regex Activation();

    [GeneratedRegex(@"logits = ([\d.]+) \* normalize")]
    private static partial Regex Scale();

    [GeneratedRegex(@"mini-batches\s+of\s+(\d+)")]
    private static partial Regex MiniBatch();
}
