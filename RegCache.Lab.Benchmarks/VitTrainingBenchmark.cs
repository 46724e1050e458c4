using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Augmentation;
using RegCache.Lab.Training.Vit;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>Training of ViT classifiers: a step against the same step in PyTorch, and augmentation against torchvision's.</summary>
internal static class VitTrainingBenchmark
{
    private const int Side = 224, Width = 500, Height = 375, Classes = 1000;

    private static readonly TrainingTransformOptions _transform =
        new() { Side = Side, RandAugment = RandAugment.Parse("rand-m9-mstd0.5-p1-inc1"), Erasing = new() };

    /// <summary>Runs the measurements, the short ones first.</summary>
    /// <param name="pairs">Pairs of steps, and of passes over the images.</param>
    /// <param name="threads">Threads of both sides' steps.</param>
    /// <param name="images">Images of an augmentation pass.</param>
    /// <param name="batch">Images of a step.</param>
    public static void Run(int pairs, int threads, int images, int batch)
    {
        MeasureAugmentation(pairs, images);
        torch.set_num_threads(threads);
        MeasureStep(pairs, threads, batch);
    }

    private static void MeasureStep(int pairs, int threads, int batch)
    {
        var config = PlacementConfig.Preset("tiny") with { Registers = 4 };
        using var peer = PyTorchPeer.Start("late_vit_step.py", new
        {
            threads, batch, image = Side, patch = 16, config.Width, config.Heads, layers = config.Depth, classes = Classes, config.Registers, clsPos = 0, regPos = 0,
        });
        if (peer is null)
        {
            return;
        }

        using var model = DynamicVit.Create(config, seed: 0);
        model.Weights.Parameters.ToList().ForEach(pair => pair.Value.requires_grad = true);
        using var optimizer = new AdamW(
            ParameterGroups.Of(model.Weights, 0.05, isDecayed: (name, dimensions) => PlacementParameters.Decays(name, dimensions)), new(0.9, 0.999, 1e-8));
        using var data = torch.randn(batch, 3, Side, Side);
        using var labels = torch.randint(0, Classes, [batch], torch.ScalarType.Int64);
        void Step(torch.Tensor seen, torch.Tensor classes)
        {
            using var scope = torch.NewDisposeScope();
            optimizer.ZeroGradients();
            ClassificationLosses.LabelSmoothing(model.Forward(seen, CounterRandom.Of(0, 0, 0)).Logits, classes, 0.1).backward();
            optimizer.Step(1e-4);
        }

        var timing = PairedTiming.Measure(pairs, () => PairedTiming.Seconds(() => Step(data, labels)), peer.Run);
        Tell($"training step, tiny, 4 registers, {Side} px, batch {batch}, AdamW, {threads} threads, {pairs} pairs", "PyTorch", timing, 1000, "ms");
        MeasureWaiting(pairs, batch, Step);
    }

    // How long a step waits for its batch where batches are made beside it, on the same cores.
    private static void MeasureWaiting(int steps, int batch, Action<torch.Tensor, torch.Tensor> step)
    {
        using var set = new RandomPictures(batch * (steps + 1));
        using var batches = new ImageBatches(set, _transform, batch, seed: 0);
        batches.Read(0).Dispose();
        double waiting = 0, all = 0;
        for (var number = 1; number <= steps; number++)
        {
            all += PairedTiming.Seconds(() =>
            {
                LabelledBatch? made = null;
                waiting += PairedTiming.Seconds(() => made = batches.Read(number));
                using (made)
                {
                    step(made!.Images, made.Labels);
                }
            });
        }

        Console.WriteLine(
            $"training step on augmented images, {Environment.ProcessorCount} workers beside it: {all / steps * 1000:0} ms, "
            + $"of which {waiting / steps * 1000:0.0} ms are waiting for images");
    }

    private static void MeasureAugmentation(int pairs, int count)
    {
        const int size = 32;
        using var peer = PyTorchPeer.Start("augment.py", new { images = count, Width, Height, side = Side, batch = size }, "torchvision");
        if (peer is null)
        {
            return;
        }

        using var set = new RandomPictures(count);
        foreach (var workers in new[] { 1, 2 })
        {
            // A reader of its own for every pass: what one has made ahead would be a present to the next.
            double Pass() => PairedTiming.Seconds(() =>
            {
                using var batches = new ImageBatches(set, _transform, size, seed: 0, workers);
                for (var batch = 0; batch < batches.PerEpoch; batch++)
                {
                    batches.Read(batch).Dispose();
                }
            });
            var timing = PairedTiming.Measure(pairs, Pass, () => peer.Run($"{workers}"));
            Console.WriteLine(
                $"augmentation, {Width} x {Height} to {Side}, two operators an image, {workers} workers: {count / timing.FirstMedian:0} images/s, torchvision {count / timing.SecondMedian:0}, "
                + $"ratio {timing.Ratio:0.00} ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00})");
        }

        MeasureOperators(pairs, peer);
    }

    private static void MeasureOperators(int pairs, PyTorchPeer peer)
    {
        const int times = 20;
        string[] shared =
        [
            "AutoContrast", "Equalize", "Invert", "Rotate", "PosterizeIncreasing", "SolarizeIncreasing", "ColorIncreasing", "ContrastIncreasing",
            "BrightnessIncreasing", "SharpnessIncreasing", "ShearX", "TranslateXRel",
        ];
        foreach (var name in shared)
        {
            var change = AugmentOperator.All.Find(name);
            var (picture, source) = (new Picture(Side, Side), new byte[Side * Side * 3]);
            new Random(0).NextBytes(source);
            source.CopyTo(picture.Pixels);
            var timing = PairedTiming.Measure(
                pairs,
                () => PairedTiming.Seconds(() =>
                {
                    for (var time = 0; time < times; time++)
                    {
                        change.Apply(picture, change.Argument(0.9, 1));
                    }
                }) / times,
                () => peer.Run($"op {name}"));
            Tell($"{name}, {Side} x {Side}, one thread", "torchvision", timing, 1000, "ms");
        }
    }

    private static void Tell(string title, string other, PairedTiming timing, double unit, string name) => Console.WriteLine(
        $"{title}: {timing.FirstMedian * unit:0.00} {name}, {other} {timing.SecondMedian * unit:0.00} {name}, ratio {timing.Ratio:0.00} ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00})");

    /// <summary>Pictures that are in memory already, so that nothing is decoded.</summary>
    private sealed class RandomPictures : ImageSet
    {
        private const int Different = 16;
        private readonly byte[][] _pictures;

        public RandomPictures(int count)
        {
            var random = new Random(0);
            _pictures = [.. Enumerable.Range(0, Different).Select(_ =>
            {
                var pixels = new byte[Width * Height * 3];
                random.NextBytes(pixels);
                return pixels;
            })];
            Count = count;
            Labels = new int[count];
            ClassNames = ["noise"];
        }

        public override int Count { get; }

        public override DataInventory Inventory => new("memory", $"{Count} pictures", [], []);

        public override string Name(int index) => $"picture {index}";

        public override DecodedImage Load(int index) => DecodedImage.FromPixels(Width, Height, PixelLayout.Rgb, _pictures[index % Different]);

        public override string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default) => $"noise {Count}";
    }
}
