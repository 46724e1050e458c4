using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Placement;
using RegCache.Lab.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>Late tokens at ViT-S/16: what an entry saves beside what its multiply-accumulates say, and the time of a PDF of five pages.</summary>
internal static class PlacementBenchmark
{
    private static readonly int[] _places = [3, 6, 9, 11];

    /// <summary>Runs the measurements.</summary>
    public static void Run(int batch, int pairs, int threads, int registers)
    {
        torch.set_num_threads(threads);
        Console.WriteLine($"ViT-S/16 at 224 px, {registers} registers, random weights, batch {batch}, {threads} threads, {pairs} pairs");
        foreach (var backend in new IBackend?[] { null, new OneDnnBackend(ExecutionMode.Simulated) })
        {
            Console.WriteLine(backend is null ? "  tensor operators" : "  oneDNN");
            Entries(batch, pairs, registers, backend);
        }

        Pdf(pairs);
    }

    private static void Entries(int batch, int pairs, int registers, IBackend? backend)
    {
        using var images = torch.randn(batch, 3, 224, 224);
        using var early = Model(0, registers, backend);
        double Seconds(DynamicVit model) => PairedTiming.Seconds(() =>
        {
            using var noGradient = torch.no_grad();
            using var scope = torch.NewDisposeScope();
            model.Forward(images);
        });
        foreach (var place in _places)
        {
            using var late = Model(place, registers, backend);
            var plan = EncoderPlan.Plain(12);
            var expected = MacsTable.Of(early.Tower, plan).Total / (double)MacsTable.Of(late.Tower, plan).Total;
            var timing = PairedTiming.Measure(pairs, () => Seconds(late), () => Seconds(early));
            Console.WriteLine(
                $"    cls_pos = reg_pos = {place}: {batch / timing.FirstMedian:0.0} images/s, {timing.Ratio:0.000} of cls_pos = reg_pos = 0 "
                + $"({timing.RatioRange.Low:0.000} .. {timing.RatioRange.High:0.000}); by multiply-accumulates {expected:0.000}; {timing.Ratio / expected:0.000} of it");
        }
    }

    private static void Pdf(int rounds)
    {
        using var model = Model(0, 4, new OneDnnBackend(ExecutionMode.Simulated));
        using var image = torch.randn(1, 3, 224, 224);
        var folder = Directory.CreateTempSubdirectory("regcache-pdf-").FullName;
        try
        {
            var pdf = new AttentionPdf(model.Config, 5);
            var seconds = Enumerable.Range(0, rounds + 1).Select(_ => PairedTiming.Seconds(() => pdf.Write(
                Path.Combine(folder, "maps.pdf"), image, EvaluationTransform.Of(model.Config.ImageSize), "random", TokenMaps.Measure(model, image, 5)))).ToArray();
            Console.WriteLine($"  PDF of 5 pages, model loaded: first {seconds[0]:0.00} s, then {seconds.Skip(1).Order().ElementAt(rounds / 2):0.00} s (median of {rounds})");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static DynamicVit Model(int place, int registers, IBackend? backend)
    {
        var config = PlacementConfig.Preset("small") with { ClassBlock = place, RegisterBlock = place, Registers = registers };
        return new(config, PlacementParameters.Draw(config, seed: 0), backend);
    }
}
