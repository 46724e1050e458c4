using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using RegCache.Lab.Training.ShapesClip;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>Speed of data generation, and of CLIP training steps against the same steps in PyTorch.</summary>
internal static class TrainingBenchmark
{
    /// <summary>Runs the measurements.</summary>
    /// <param name="pairs">Pairs of steps.</param>
    /// <param name="threads">Threads of both sides.</param>
    /// <param name="withVitB32">Whether the size of ViT-B/32 is measured, too, which takes minutes.</param>
    public static void Run(int pairs, int threads, bool withVitB32)
    {
        torch.set_num_threads(threads);
        MeasureGeneration(threads);
        MeasureStep("phase 1 of the demo model", ShapesClipArchitecture.Config, batch: 128, keptPatches: 34, pairs, threads);
        if (withVitB32)
        {
            var config = new ClipConfig
            {
                EmbedDim = 512, Vision = new() { Width = 768, PatchSize = 32 }, Text = new(),
            };
            MeasureStep("ViT-B/32", config, batch: 32, keptPatches: null, Math.Min(pairs, 3), threads);
        }
    }

    private static void MeasureGeneration(int threads)
    {
        const int images = 4000;
        ShapesSet.Generate(ShapesSplit.Train, images);
        foreach (var count in new[] { 1, threads })
        {
            var seconds = PairedTiming.Seconds(() => ShapesSet.Generate(ShapesSplit.Train, images, threads: count));
            Console.WriteLine($"generated images, {count} threads: {images / seconds:0} images/s");
        }
    }

    private static void MeasureStep(string title, ClipConfig config, int batch, int? keptPatches, int pairs, int threads)
    {
        var (vision, text) = (config.Vision, config.Text!);
        using var peer = PyTorchPeer.Start("clip_step.py", new
        {
            threads,
            batch,
            kept = keptPatches ?? 0,
            image = vision.ImageSize.Width,
            patch = vision.PatchSize,
            vision.Width,
            vision.Heads,
            vision.Layers,
            embed = config.EmbedDim,
            vocab = text.VocabSize,
            context = text.ContextLength,
            textWidth = text.Width,
            textHeads = text.Heads,
            textLayers = text.Layers,
        });
        if (peer is null)
        {
            return;
        }

        using var model = new ClipModel(config, ClipInitialization.Draw(config, seed: 0));
        foreach (var name in model.Weights.Names)
        {
            model.Weights[name].requires_grad = true;
        }

        var dropout = keptPatches is { } kept ? 1 - ((kept + 0.5) / vision.Patches) : 0;
        var gradients = new ClipGradients(model, new() { PatchDropout = dropout });
        using var optimizer = new AdamW(ParameterGroups.Of(model.Weights, 0), new(Epsilon: 1e-8));
        using var data = new ClipBatch(
            torch.randn(batch, 3, vision.ImageSize.Height, vision.ImageSize.Width),
            torch.randint(1, text.VocabSize - 1, [batch, text.ContextLength], torch.ScalarType.Int64),
            "random");
        var timing = PairedTiming.Measure(pairs, () => PairedTiming.Seconds(() => Step(model, gradients, optimizer, data)), peer.Run);
        Console.WriteLine($"training step, {title}, batch {batch}, {threads} threads, {pairs} pairs");
        Console.WriteLine($"  this kit {timing.FirstMedian * 1000,8:0} ms");
        Console.WriteLine($"  PyTorch  {timing.SecondMedian * 1000,8:0} ms");
        Console.WriteLine($"  ratio    {timing.Ratio,8:0.00} ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00})");
    }

    private static void Step(ClipModel model, ClipGradients gradients, AdamW optimizer, ClipBatch data)
    {
        using var scope = torch.NewDisposeScope();
        optimizer.ZeroGradients();
        gradients.Accumulate([data], CounterRandom.Of(0, 0, 0));
        optimizer.Step(1e-4, optimizer.GradientNorm(), 1);
        ClipTask.ClampLogitScale(model);
    }
}
