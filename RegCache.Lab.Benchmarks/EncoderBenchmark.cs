using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>Images per second of a ViT-B/16-size vision tower against the same tower in PyTorch.</summary>
internal static class EncoderBenchmark
{
    public static void Run(int batch, int pairs, int threads)
    {
        torch.set_num_threads(threads);
        using var model = RandomModel.VisionB16();
        using var images = torch.randn(batch, 3, 224, 224);
        using var peer = PyTorchPeer.StartTower("vit.py", model.Config, batch, threads);
        if (peer is null)
        {
            return;
        }

        using var noGradient = torch.inference_mode();
        var timing = PairedTiming.Measure(
            pairs, () => PairedTiming.Seconds(() => model.Vision.Encode(images).Dispose()), peer.Run);
        Console.WriteLine($"ViT-B/16 fp32, batch {batch}, {threads} threads, {pairs} pairs");
        Console.WriteLine($"  this kit {batch / timing.FirstMedian,8:0.00} images/s");
        Console.WriteLine($"  PyTorch  {batch / timing.SecondMedian,8:0.00} images/s");
        Console.WriteLine($"  ratio    {timing.Ratio,8:0.00} ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00})");
    }
}
