using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
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
        using var model = RandomModel.VisionB16();
        using var noGradient = torch.inference_mode();
        MeasureStep(model.Vision, pairs);
        using var images = torch.randn(batch, 3, 224, 224);
        Console.WriteLine($"ViT-B/16 fp32, batch {batch}, {threads} threads, {pairs} pairs: r in every block against r = 0");
        foreach (var count in new[] { 8, 13, 16 })
        {
            MeasureSpeedUp(model, images, MergingConfiguration.TokenMerging(count), pairs);
        }

        MeasureSpeedUp(model, images, MergingConfiguration.Preset("lgtm-b", 16), pairs);
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
            TransformerBlock.Forward(stream, 0, tower.Blocks[0], BlockPlan.Plain);
        });

        Console.WriteLine($"matching and merging of {BlockBatch} images of {config.Patches + 1} tokens of width {config.Width}");
        foreach (var stage in new ITokenStage[] { new MergeTokens(8), new MergeTokens(16), new MergeInWindows(4) })
        {
            var timing = PairedTiming.Measure(pairs, () => Step(stage), Block);
            Console.WriteLine($"  {stage.GetType().Name,-15} {1000 * timing.FirstMedian,7:0.0} ms, {100 / timing.Ratio,5:0.00} % of a block ({1000 * timing.SecondMedian:0} ms)");
        }
    }

    private static void MeasureSpeedUp(ClipModel model, torch.Tensor images, MergingConfiguration configuration, int pairs)
    {
        var plain = EncoderPlan.Plain(model.Vision.Blocks.Count);
        var merging = configuration.ApplyTo(plain);
        using var runner = new PlanRunner(model.Vision);
        double Seconds(EncoderPlan plan) => PairedTiming.Seconds(() => runner.Run(images, plan).Dispose());
        var timing = PairedTiming.Measure(pairs, () => Seconds(merging), () => Seconds(plain));
        long Macs(EncoderPlan plan) => MacsTable.Of(model.Config.Vision, model.Config.EmbedDim, plan).Total;
        var saved = (double)Macs(plain) / Macs(merging);
        Console.WriteLine(
            $"  {configuration}: {timing.Ratio:0.000} times as fast ({timing.RatioRange.Low:0.00} .. {timing.RatioRange.High:0.00}), MACs ratio {saved:0.000}, reached {100 * timing.Ratio / saved:0} %");
    }
}
