using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Training.Clip;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>Images per second of CLIP's RN50 in float32: this kit with BatchNorm folded, as commands run it, and not folded, and PyTorch.</summary>
internal static class ResNetBenchmark
{
    private const string Folded = "this kit, folded", Plain = "this kit, not folded", Torch = "PyTorch", ChannelsLast = "PyTorch, channels last";

    public static void Run(int batch, int rounds, int threads)
    {
        torch.set_num_threads(threads);
        var config = ClipConfigs.Get("RN50") with { Text = null };
        using var folded = new ClipModel(config, ClipInitialization.Draw(config, seed: 0));
        using var plain = new ClipModel(config, ClipInitialization.Draw(config, seed: 0));
        // Weights that are trained are not folded.
        plain.Weights["visual.conv1.weight"].requires_grad = true;
        var vision = config.Vision;
        using var images = torch.randn(batch, 3, vision.ImageSize.Height, vision.ImageSize.Width);
        using var peer = PyTorchPeer.Start("resnet.py", new
        {
            threads, batch, Stages = vision.Stages!.ToArray(), vision.Width, vision.Heads, Image = vision.ImageSize.Width, Embed = config.EmbedDim,
        });
        using var noGradient = torch.inference_mode();
        var contest = new RoundRobin();
        contest.Add(Folded, () => PairedTiming.Seconds(() => folded.ImageTower.Encode(images).Dispose()));
        contest.Add(Plain, () => PairedTiming.Seconds(() => plain.ImageTower.Encode(images).Dispose()));
        if (peer is not null)
        {
            contest.Add(Torch, () => peer.Run("plain"));
            contest.Add(ChannelsLast, () => peer.Run("channels-last"));
        }

        contest.Run(rounds);
        Console.WriteLine($"RN50 fp32, {vision.ImageSize.Width} px, batch {batch}, {threads} threads, {rounds} rounds");
        Console.WriteLine($"  {"",-24} images/s   folded is faster by");
        foreach (var name in contest.Names)
        {
            var ratio = contest.Ratio(Folded, name);
            Console.WriteLine($"  {name,-24} {batch / contest.Median(name),8:0.00}   {(name == Folded ? "" : $"{ratio.Median:0.00} ({ratio.Low:0.00} .. {ratio.High:0.00})")}");
        }
    }
}
