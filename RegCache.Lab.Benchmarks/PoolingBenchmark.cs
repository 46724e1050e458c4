using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Language;
using RegCache.Lab.Training;
using TorchSharp;
using Tensor = TorchSharp.torch.Tensor;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Dynamic token pooling at the published sizes: pooling and un-pooling against a layer, a training step of the pooled model against the plain one beside
/// what multiply-accumulates predict, and the same steps in PyTorch.
/// </summary>
internal static class PoolingBenchmark
{
    private const int Width = 512, Heads = 8, Inner = 2048, Symbols = 27;

    /// <summary>Runs the measurements.</summary>
    public static void Run(int length, int batch, int pairs, int threads)
    {
        torch.set_num_threads(threads);
        Console.WriteLine($"{length} characters x {batch} streams, {Width} channels, {threads} threads, {pairs} pairs");
        Operator(length, batch, pairs);
        using var plain = new Trained("none", 12, 0, 0, 1, length, batch);
        foreach (var factor in new[] { 2, 4 })
        {
            using var pooled = new Trained("fixed", 2, 8, 2, factor, length, batch);
            var timing = PairedTiming.Measure(pairs, pooled.Step, plain.Step);
            var expected = plain.Macs / pooled.Macs;
            Console.WriteLine($"  training step, factor {factor}: pooled {timing.FirstMedian:0.000} s, plain {timing.SecondMedian:0.000} s");
            Print("plain / pooled", timing);
            Console.WriteLine($"    by multiply-accumulates {expected:0.000}; {timing.Ratio / expected:0.000} of it");
        }

        foreach (var (name, factor) in new[] { ("none", 1), ("fixed", 2), ("fixed", 4) })
        {
            using var peer = PyTorchPeer.Start("pooling_lm.py", new { threads, batch, length, Width, Heads, Inner, Symbols, factor });
            if (peer is null)
            {
                return;
            }

            using var ours = name == "none" ? new Trained(name, 12, 0, 0, 1, length, batch) : new Trained(name, 2, 8, 2, factor, length, batch);
            Print($"training step, {name} {factor}: PyTorch / kit", PairedTiming.Measure(pairs, ours.Step, peer.Run));
        }
    }

    private static void Operator(int length, int batch, int pairs)
    {
        using var scope = torch.NewDisposeScope();
        using var random = new torch.Generator(1);
        var config = new DynamicPoolingConfig { Vocabulary = Symbols, Boundaries = "none", LayersBefore = 1, LayersPooled = 0, LayersAfter = 0 };
        using var model = DynamicPoolingLm.Initialize(config, seed: 1);
        model.RequireGradients();
        var layer = RelativeLayer.From(model.Weights, "layers.0.0.", Width, Heads, Width / Heads, Inner);
        var input = torch.randn([length, batch, Width], generator: random).requires_grad_();
        var nullRow = torch.randn([1, 1, Width], generator: random).requires_grad_();
        var context = RelativeContext.Of(model.Weights["pos_emb.inv_freq"], model.Weights["r_w_bias"], model.Weights["r_r_bias"], length, RelativeDirection.Causal);
        double Both(Func<Tensor> forward) => PairedTiming.Seconds(() =>
        {
            using var step = torch.NewDisposeScope();
            (input.grad, nullRow.grad) = (null, null);
            forward().sum().backward();
        });
        foreach (var rate in new[] { 0.25, 0.05 })
        {
            var values = torch.rand([batch, length], generator: random).less(rate).to(torch.ScalarType.Float32).requires_grad_();
            Tensor Pool()
            {
                values.grad = null;
                var segments = Segments.Of(values.greater(0.5));
                return SegmentPooling.Up(SegmentPooling.Down(input, values, segments, nullRow), segments);
            }

            var timing = PairedTiming.Measure(pairs, () => Both(Pool), () => Both(() => layer.Apply(input, context)));
            Console.WriteLine(
                $"  down and up, rate {rate}: {timing.FirstMedian * 1000:0.0} ms forwards and backwards, a layer {timing.SecondMedian * 1000:0} ms: {100 / timing.Ratio:0.0} % of it");
        }
    }

    private static void Print(string title, PairedTiming timing) => Console.WriteLine(
        $"    {title,-45} {timing.Ratio:0.00} ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00}), {timing.FirstMedian:0.000} s and {timing.SecondMedian:0.000} s");

    /// <summary>A model and a training step of it on random text: forward, backward, clipping, Adam.</summary>
    private sealed class Trained : IDisposable
    {
        private readonly DynamicPoolingLm _model;
        private readonly AdamW _optimizer;
        private readonly LmInput _input;

        public Trained(string type, int before, int pooled, int after, int factor, int length, int batch)
        {
            var config = new DynamicPoolingConfig
            {
                Vocabulary = Symbols, Boundaries = type, LayersBefore = before, LayersPooled = pooled, LayersAfter = after, FixedFactor = factor,
            };
            _model = DynamicPoolingLm.Initialize(config, seed: 1);
            _model.RequireGradients();
            _optimizer = new(ParameterGroups.Of(_model.Weights, 0), new(0.9, 0.999, 1e-8));
            _input = new(torch.randint(0, Symbols, [length, batch], torch.ScalarType.Int64))
            {
                Target = torch.randint(0, Symbols, [length, batch], torch.ScalarType.Int64),
                Boundaries = torch.arange(length).remainder(factor).eq(0).unsqueeze(1).expand(length, batch).contiguous(),
            };
            Macs = PoolingMacs.LanguageModel(config, length, 1.0 / factor);
        }

        public double Macs { get; }

        public double Step() => PairedTiming.Seconds(() =>
        {
            using var scope = torch.NewDisposeScope();
            _optimizer.ZeroGradients();
            _model.Forward(_input).Loss!.mean().backward();
            _optimizer.Step(2.5e-4, _optimizer.GradientNorm(), 0.25);
        });

        public void Dispose()
        {
            _optimizer.Dispose();
            _model.Dispose();
        }
    }
}
