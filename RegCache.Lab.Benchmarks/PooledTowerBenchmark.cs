using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Towers;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;
using TorchSharp;
using Tensor = TorchSharp.torch.Tensor;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Pooled image towers of ViT-B-16's sizes against the same towers without pooling: forward pass and training step, beside the ratio that
/// multiply-accumulates predict, predictors included.
/// </summary>
internal static class PooledTowerBenchmark
{
    private const int Features = 512;

    /// <summary>Runs the measurements.</summary>
    public static void Run(int batch, int pairs, int threads)
    {
        torch.set_num_threads(threads);
        Console.WriteLine($"ViT-B-16's sizes at 224 px, batch {batch}, {threads} threads, {pairs} pairs");
        foreach (var rate in new[] { 0.5, 0.25 })
        {
            Compare($"vit, ditto, 4+8 at {rate}", Vit(new() { Tower = "vit", Rates = [rate], ExactBudget = true }), Vit(null), batch, pairs);
            Compare($"drip, ditto, 4+8 at {rate}", Drip([4, 8], [rate]), Drip([12], []), batch, pairs);
        }
    }

    private static VisionConfig Vit(TowerPooling? pooling) => new() { Pooling = pooling };

    private static VisionConfig Drip(ValueList<int> layers, ValueList<double> rates)
    {
        var pooling = new TowerPooling { Tower = "drip", Rule = "ditto", Layers = layers, Rates = rates, ExactBudget = true };
        return pooling.Entry.Shape(Vit(pooling));
    }

    private static void Compare(string title, VisionConfig pooled, VisionConfig plain, int batch, int pairs)
    {
        using var scope = torch.NewDisposeScope();
        using var generator = new torch.Generator(1);
        var images = torch.randn([batch, 3, 224, 224], generator: generator);
        var expected = (double)Macs(plain) / Macs(pooled);
        Console.WriteLine($"{title}: {Macs(pooled) / 1e9:0.00} G multiply-accumulates, {Macs(plain) / 1e9:0.00} without pooling");
        foreach (var (step, make) in new (string, Func<VisionConfig, Timed>)[]
        {
            ("forward", config => new Forwarded(config, images)),
            ("training step", config => new Trained(config, images)),
        })
        {
            using var first = make(pooled);
            using var second = make(plain);
            var timing = PairedTiming.Measure(pairs, first.Run, second.Run);
            Console.WriteLine(
                $"  {step,-14} {timing.FirstMedian:0.000} s and {timing.SecondMedian:0.000} s: ratio {timing.Ratio:0.00} ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00}), "
                + $"predicted {expected:0.00}, {100 * timing.Ratio / expected:0} % of it");
        }
    }

    private static long Macs(VisionConfig vision)
    {
        if (vision.Pooling is { Entry.IsRelative: true } pooling)
        {
            var size = new PooledTowerSize(vision.PatchSize);
            return pooling.Poolings == 0
                ? size.Embedding + (pooling.Depth * PoolingMacs.RelativeLayer(size.Patches, size.Width, size.Inner)) + (size.Width * Features)
                : PoolingMacs.PooledTower(size, pooling.Layers[0], pooling.Rates[0], hasNullRow: false, Features, MacsCounting.Complete);
        }

        var table = MacsTable.Of(vision, Features, EncoderPlan.Plain(vision.Layers));
        return table.Total + table.Matching;
    }

    private static ClipModel Model(VisionConfig vision, IBackend? backend)
    {
        var config = new ClipConfig { EmbedDim = Features, Vision = vision };
        var weights = ClipInitialization.Draw(config, 1);
        if (vision.Pooling is { Poolings: > 0 } pooling)
        {
            // Training then draws boundaries at the wanted rate.
            using var noGradient = torch.no_grad();
            weights["visual.boundary_predictor.boundary_predictor.2.weight"].mul_(1e-3);
            weights["visual.boundary_predictor.boundary_predictor.2.bias"].fill_((float)Math.Log(pooling.Rates[0] / (1 - pooling.Rates[0])));
        }

        return new(config, weights, backend);
    }

    private abstract class Timed(ClipModel model) : IDisposable
    {
        protected ClipModel Model { get; } = model;

        public double Run() => PairedTiming.Seconds(() =>
        {
            using var scope = torch.NewDisposeScope();
            Step();
        });

        public virtual void Dispose() => Model.Dispose();

        protected abstract void Step();
    }

    private sealed class Forwarded(VisionConfig config, Tensor images) : Timed(PooledTowerBenchmark.Model(config, new OneDnnBackend(ExecutionMode.Simulated)))
    {
        protected override void Step()
        {
            using var noGradient = torch.no_grad();
            Model.ImageTower.Encode(images);
        }
    }

    private sealed class Trained : Timed
    {
        private readonly Tensor _images;
        private readonly TowerPasses _passes;
        private readonly AdamW _optimizer;

        public Trained(VisionConfig config, Tensor images)
            : base(PooledTowerBenchmark.Model(config, null))
        {
            foreach (var (_, weight) in Model.Weights.Parameters)
            {
                weight.requires_grad = true;
            }

            (_images, _passes, _optimizer) = (images, new(Model, null, 0), new(ParameterGroups.Of(Model.Weights, 0.2), new()));
        }

        public override void Dispose()
        {
            _optimizer.Dispose();
            base.Dispose();
        }

        protected override void Step()
        {
            _optimizer.ZeroGradients();
            using var pass = _passes.Images(_images, CounterRandom.Of(1, 2, 3), checkpointing: false);
            pass.Backward(torch.ones_like(pass.Features));
            _optimizer.Step(1e-4, _optimizer.GradientNorm(), 1);
        }
    }
}
