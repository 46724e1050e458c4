using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// What merging costs, as a share of a ViT-B/16 block's time, and what it gains, as a share of the multiply-accumulates that
/// it saves.
/// </summary>
internal static class MergingBenchmark
{
    private const int BlockBatch = 64;

    public static void Run(int batch, int pairs, int threads)
    {
        torch.set_num_threads(threads);
        using var model = RandomModel.Create(
            ClipConfigs.Get("ViT-B-16") with { Text = null }, new OneDnnBackend(ExecutionMode.Simulated));
        using var noGradient = torch.inference_mode();
        MeasureStep(model.Vision, pairs);
        using var images = torch.randn(batch, 3, 224, 224);
        // The published method in PyTorch operators on a plain classifier of the same size.
        using var peer = PyTorchPeer.StartTower("merging_vit.py", model.Config, batch, threads);
        Console.WriteLine($"ViT-B/16 fp32, batch {batch}, {threads} threads, {pairs} pairs: merging in every block against none, speed-ups");
        Console.WriteLine("  method                                     MACs    this kit               reached   PyTorch's ToMe         kit/PyTorch");
        foreach (var count in new[] { 8, 13, 16 })
        {
            MeasureSpeedUp(model, images, MergingSetting.ToMe(count), pairs, peer, count);
        }

        MeasureSpeedUp(model, images, new MergingSetting(MergingMethods.All.Find("lgtm-b"), MergeSchedule.Constant(16)), pairs, peer: null, 0);
    }

    private static void MeasureStep(VisionTower tower, int pairs)
    {
        var config = tower.Config;
        var layout = new TokenLayout(1, 0, config.Grid.Height, config.Grid.Width);
        using var tokens = torch.randn(BlockBatch, config.Patches + 1, config.Width);
        using var keys = torch.randn(BlockBatch, config.Patches + 1, config.Heads, config.HeadWidth).transpose(1, 2);
        var stream = new TokenBatch(tokens, layout);
        var context = new StageContext(0) { Keys = keys };
        double Step(ITokenStage stage) => PairedTiming.Seconds(() =>
        {
            using var scope = torch.NewDisposeScope();
            stage.Apply(stream, context);
        });
        double Block() => PairedTiming.Seconds(() =>
        {
            using var scope = torch.NewDisposeScope();
            TransformerBlock.Forward(stream, 0, tower.Running[0], BlockPlan.Plain);
        });

        Console.WriteLine($"matching and merging of {BlockBatch} images of {config.Patches + 1} tokens of width {config.Width}");
        foreach (var stage in new ITokenStage[] { new MergeTokens(8), new MergeTokens(16), new MergeInWindows(4) })
        {
            var timing = PairedTiming.Measure(pairs, () => Step(stage), Block);
            Console.WriteLine($"  {stage.GetType().Name,-15} {1000 * timing.FirstMedian,7:0.0} ms, {100 / timing.Ratio,5:0.00} % of a block ({1000 * timing.SecondMedian:0} ms)");
        }
    }

    private static void MeasureSpeedUp(
        ClipModel model, torch.Tensor images, MergingSetting setting, int pairs, PyTorchPeer? peer, int count)
    {
        var plain = EncoderPlan.Plain(model.Vision.Blocks.Count);
        var merging = setting.ApplyTo(plain);
        using var runner = new PlanRunner(model.Vision);
        double Seconds(EncoderPlan plan) => PairedTiming.Seconds(() => runner.Run(images, plan).Dispose());
        long Macs(EncoderPlan plan) => MacsTable.Of(model.Config.Vision, model.Config.EmbedDim, plan).Total;
        var saved = (double)Macs(plain) / Macs(merging);
        List<double> kit = [], kitPlain = [], torchMerging = [], torchPlain = [];
        // The first round warms up; then all four take turns.
        for (var round = -1; round < pairs; round++)
        {
            var times = (Seconds(merging), Seconds(plain), peer?.Run($"{count}") ?? 0, peer?.Run("0") ?? 0);
            if (round >= 0)
            {
                kit.Add(times.Item1);
                kitPlain.Add(times.Item2);
                torchMerging.Add(times.Item3);
                torchPlain.Add(times.Item4);
            }
        }

        var own = new PairedTiming(kit, kitPlain);
        var line = $"  {setting,-42} {saved,5:0.00}   {Text(own),-22} {100 * own.Ratio / saved,5:0} %";
        Console.WriteLine(peer is null
            ? line
            : $"{line}   {Text(new(torchMerging, torchPlain)),-22} {new PairedTiming(kit, torchMerging).Ratio,6:0.00}");
    }

    private static string Text(PairedTiming timing) => $"{timing.Ratio:0.00} ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00})";
}
