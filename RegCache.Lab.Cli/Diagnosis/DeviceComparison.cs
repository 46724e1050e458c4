using System.Diagnostics;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Training.Clip;
using TorchSharp;

namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>Whether a device computes what the processor computes, and how fast it is.</summary>
internal static class DeviceComparison
{
    private const int Batch = 8;
    private const int Repeats = 5;

    // Different summation orders change the last bits; more than this is a fault.
    private const double LargestRelativeDifference = 1e-3;

    private static readonly ClipConfig _small = new()
    {
        EmbedDim = 64,
        Vision = new() { Layers = 6, Width = 192, HeadWidth = 64, PatchSize = 16, ImageSize = (96, 96) },
    };

    /// <summary>Largest difference of the residual stream by block, relative to its largest entry.</summary>
    public static IEnumerable<DiagnosisLine> Differences(torch.Device device)
    {
        var (height, width) = _small.Vision.ImageSize;
        using var images = torch.randn(Batch, 3, height, width);
        var reference = Streams(_small, torch.CPU, images);
        var there = Streams(_small, device, images);
        for (var block = 0; block < reference.Count; block++)
        {
            using var scope = torch.NewDisposeScope();
            var difference = ((there[block] - reference[block]).abs().max() / reference[block].abs().max()).item<float>();
            yield return new($"block {block}", $"largest difference to the processor {difference:0.0e+0}", difference > LargestRelativeDifference);
        }
    }

    /// <summary>Images per second of a ViT-B/16-size tower in each number format.</summary>
    public static IEnumerable<DiagnosisLine> Speeds(torch.Device device)
    {
        var config = ClipConfigs.Get("ViT-B-16") with { Text = null };
        var batch = device.type == DeviceType.CPU ? Batch : 16 * Batch;
        foreach (var type in new[] { torch.ScalarType.Float32, torch.ScalarType.BFloat16 })
        {
            using var model = Make(config, device, type);
            using var images = torch.randn([batch, 3, 224, 224], dtype: type, device: device);
            yield return new(
                $"ViT-B/16 {(type == torch.ScalarType.Float32 ? "fp32" : "bf16")}", $"{batch / SecondsPerBatch(model, images, device):0.0} images/s at batch {batch}", false);
        }
    }

    private static List<torch.Tensor> Streams(ClipConfig config, torch.Device device, torch.Tensor images)
    {
        using var noGradient = torch.no_grad();
        using var model = Make(config, device, torch.ScalarType.Float32);
        var streams = new List<torch.Tensor>();
        for (var blocks = 1; blocks <= config.Vision.Layers; blocks++)
        {
            using var scope = torch.NewDisposeScope();
            streams.Add(model.Vision.Forward(images.to(device), blocks).Tokens.cpu().DetachFromDisposeScope());
        }

        return streams;
    }

    private static double SecondsPerBatch(ClipModel model, torch.Tensor images, torch.Device device)
    {
        using var noGradient = torch.inference_mode();
        double Pass(int repeats)
        {
            var clock = Stopwatch.StartNew();
            for (var repeat = 0; repeat < repeats; repeat++)
            {
                model.Vision.Encode(images).Dispose();
            }

            if (device.type == DeviceType.CUDA)
            {
                torch.cuda.synchronize();
            }

            return clock.Elapsed.TotalSeconds / repeats;
        }

        Pass(1);
        return Pass(device.type == DeviceType.CPU ? 1 : Repeats);
    }

    private static ClipModel Make(ClipConfig config, torch.Device device, torch.ScalarType type) =>
        new(config, ClipInitialization.Draw(config, seed: 0).Place(device, type));
}
