using System.Globalization;
using RegCache.Lab.Evaluation;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>Ranks of retrieval in blocks, their memory, and the same from one matrix of all similarities.</summary>
internal static class RetrievalBenchmark
{
    private const int Width = 512;

    public static void Run(int pairs, int threads)
    {
        torch.set_num_threads(threads);
        Console.WriteLine($"ranks in both directions, features of {Width} channels, {threads} threads, {pairs} pairs");
        Measure(5_000, 25_000, pairs);
        Measure(25_000, 25_000, pairs: 0);
    }

    private static void Measure(int images, int captions, int pairs)
    {
        using var scope = torch.NewDisposeScope();
        torch.manual_seed(0);
        var image = ZeroShotClassifier.Normalize(torch.randn(images, Width));
        int[] imageOf = [.. Enumerable.Range(0, captions).Select(caption => caption % images)];
        var owner = torch.tensor(imageOf.Select(index => (long)index).ToArray());
        // Captions lie near their images, as those of a trained model do.
        var caption = ZeroShotClassifier.Normalize(image.index_select(0, owner) + (0.6 * torch.randn(captions, Width)));
        RetrievalRanks ranks = null!;
        double Blocks() => PairedTiming.Seconds(() => ranks = RetrievalRanks.Of(image, caption, imageOf));

        ForgetPeak();
        var first = Blocks();
        Console.WriteLine($"  {images} images x {captions} captions: first {first:0.00} s, peak {PeakMegabytes()} MB (all similarities would be {(long)images * captions * sizeof(float) >> 20} MB)");
        if (pairs == 0)
        {
            return;
        }

        (double ImageToText, double TextToImage) whole = default;
        var timing = PairedTiming.Measure(pairs, Blocks, () => PairedTiming.Seconds(() => whole = OfTheWholeMatrix(image, caption, owner)));
        Console.WriteLine(
            $"  in blocks {timing.FirstMedian:0.00} s, from one matrix {timing.SecondMedian:0.00} s: {timing.Ratio:0.00} times as fast ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00})");
        Console.WriteLine(
            $"  mean ranks {ranks.ImageToText.Mean:0.000} and {ranks.TextToImage.Mean:0.000}, from one matrix {whole.ImageToText:0.000} and {whole.TextToImage:0.000}");
    }

    private static (double ImageToText, double TextToImage) OfTheWholeMatrix(torch.Tensor images, torch.Tensor captions, torch.Tensor owner)
    {
        using var scope = torch.NewDisposeScope();
        var scores = images.matmul(captions.t());
        var own = scores.gather(0, owner.unsqueeze(0));
        var textToImage = (scores > own).sum([0]);
        var isOwn = torch.arange(images.shape[0]).unsqueeze(1) == owner;
        var best = torch.where(isOwn, scores, torch.tensor(float.NegativeInfinity)).amax([1], keepdim: true);
        var imageToText = (scores > best).sum([1]);
        return (imageToText.to(torch.ScalarType.Float64).mean().item<double>() + 1, textToImage.to(torch.ScalarType.Float64).mean().item<double>() + 1);
    }

    // Linux counts the peak of a process anew when it is told to.
    private static void ForgetPeak() => File.WriteAllText("/proc/self/clear_refs", "5");

    private static long PeakMegabytes() => File.ReadLines("/proc/self/status")
        .Where(line => line.StartsWith("VmHWM:", StringComparison.Ordinal))
        .Select(line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) >> 10)
        .Single();
}
