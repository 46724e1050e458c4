using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Calibration of layers of ViT-B/16 size against the same searches written plainly with tensor operators, one candidate
/// after the other. Both must find the same scales.
/// </summary>
internal static class CalibrationBenchmark
{
    private const int Tokens = 197, Width = 768, Hidden = 3072, Heads = 12;
    private const long Memory = 256L << 20;

    public static void Run(int images, int pairs)
    {
        using var noGradient = torch.no_grad();
        torch.set_num_threads(Environment.ProcessorCount);
        torch.manual_seed(0);
        Console.WriteLine($"{images} images, {Tokens} tokens, {Environment.ProcessorCount} threads, {pairs} pairs");
        foreach (var bits in new[] { 8, 4 })
        {
            Linear(images, pairs, new(new(bits, bits)));
        }

        foreach (var (name, count) in new[]
        {
            ("mlp.c_proj input", images * Tokens * Hidden), ("softmax output", images * Heads * Tokens * Tokens),
        })
        {
            Percentiles(name, count, pairs);
        }
    }

    // attn.out_proj
    private static void Linear(int images, int pairs, Ptq4VitOptions options)
    {
        using var scope = torch.NewDisposeScope();
        var input = torch.randn(images, Tokens, Width).pow(3);
        var weight = torch.randn(1, Width, Width) * 0.03;
        var bias = torch.randn(Width);
        var product = new RecordedProduct(
            input, weight, bias, torch.nn.functional.linear(input, weight[0], bias), torch.randn(images, Tokens, Width));
        int[] ours = [], plain = [];
        var timing = PairedTiming.Measure(
            pairs,
            () => PairedTiming.Seconds(() =>
            {
                var found = new LayerSearch(options, Memory).Linear(product, 1, false, "out_proj");
                ours = [.. found.RightIndices, found.LeftIndex];
            }),
            () => PairedTiming.Seconds(() => plain = PlainSearch(product, options)));
        Console.WriteLine(
            $"PTQ4ViT {options.Bits} attn.out_proj: {Text(timing)}; candidates {string.Join(", ", ours)} and {string.Join(", ", plain)}");
    }

    private static int[] PlainSearch(RecordedProduct product, Ptq4VitOptions options)
    {
        using var scope = torch.NewDisposeScope();
        var bits = options.Bits.Weights;
        var half = 1 << (bits - 1);
        float Initial(torch.Tensor values) => values.abs().max().item<float>() / (half - 0.5f);
        torch.Tensor Quantize(torch.Tensor values, float scale) => (values / scale).round().clamp(-half, half - 1) * scale;
        var (weight, initialWeight, initialInput) = (product.Right[0], Initial(product.Right), Initial(product.Left));
        double Error(torch.Tensor input, torch.Tensor quantizedWeight)
        {
            using var lifetime = torch.NewDisposeScope();
            var output = torch.nn.functional.linear(input, quantizedWeight, product.Bias);
            return ((product.Output - output) * product.Gradient!).pow(2).mean([2]).mean([1]).sum().item<float>();
        }

        int Best(Func<float, double> error, float initial) => Enumerable.Range(0, options.Range.Count)
            .MinBy(index => error(options.Range.Scale(initial, index)));
        var (weightIndex, inputIndex, inputScale) = (0, 0, initialInput);
        for (var round = 0; round < options.Rounds; round++)
        {
            using var lifetime = torch.NewDisposeScope();
            var input = Quantize(product.Left, inputScale);
            weightIndex = Best(scale => Error(input, Quantize(weight, scale)), initialWeight);
            var quantized = Quantize(weight, options.Range.Scale(initialWeight, weightIndex));
            inputIndex = Best(scale => Error(Quantize(product.Left, scale), quantized), initialInput);
            inputScale = options.Range.Scale(initialInput, inputIndex);
        }

        return [weightIndex, inputIndex];
    }

    private static void Percentiles(string name, long count, int pairs)
    {
        using var scope = torch.NewDisposeScope();
        var values = torch.randn(count).pow(3).view(1, -1);
        (float Ours, float Plain) scales = default;
        var timing = PairedTiming.Measure(
            pairs,
            () => PairedTiming.Seconds(() => scales.Ours = PercentileRange.OfTensor(values, 8, name).Scale.item<float>()),
            () => PairedTiming.Seconds(() => scales.Plain = PlainPercentiles(values.flatten(), 8)));
        Console.WriteLine($"RepQ-ViT {name}, {count} values: {Text(timing)}; scales {scales.Ours:g6} and {scales.Plain:g6}");
    }

    // torch.quantile refuses more than 2^24 values; sorting is what it does.
    private static float PlainPercentiles(torch.Tensor values, int bits)
    {
        var highest = (1 << bits) - 1;
        float Quantile(double fraction)
        {
            using var scope = torch.NewDisposeScope();
            var wanted = torch.tensor(new[] { (float)fraction });
            return values.NumberOfElements <= Quantiles.SingleRankLimit
                ? values.quantile(wanted, 0).item<float>()
                : values.sort().Item1[(long)(fraction * (values.NumberOfElements - 1))].item<float>();
        }

        var (best, bestScale) = (double.PositiveInfinity, 0f);
        foreach (var percentile in new[] { 0.999, 0.9999, 0.99999 })
        {
            using var scope = torch.NewDisposeScope();
            var (high, low) = (Quantile(percentile), Quantile(1 - percentile));
            var scale = (high - low) / highest;
            var zeroPoint = MathF.Round(-low / scale);
            var quantized = (((values / scale).round() + zeroPoint).clamp(0, highest) - zeroPoint) * scale;
            var error = (quantized - values).pow(2).mean().item<float>();
            (best, bestScale) = error < best ? (error, scale) : (best, bestScale);
        }

        return bestScale;
    }

    private static string Text(PairedTiming timing) =>
        $"{timing.FirstMedian:0.00} s against {timing.SecondMedian:0.00} s, {timing.Ratio:0.0}x ({timing.RatioRange.Low:0.0} to {timing.RatioRange.High:0.0})";
}
