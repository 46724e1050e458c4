using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// A reduced RegCache grid on a ViT-B/16-size encoder: the plan tree against running each plan alone, beside the ratio
/// of block forwards that counting them predicts, and the states and bytes that the tree keeps.
/// </summary>
internal static class SearchBenchmark
{
    private const int SensitiveBlock = 7;
    private const int Batch = 16;
    private static readonly int[] PrefixCounts = [1];
    private static readonly int[] DeleteCounts = [0, 3];

    public static void Run(int images, int pairs)
    {
        torch.set_num_threads(Environment.ProcessorCount);
        using var model = RandomModel.VisionB16();
        using var pixels = torch.randn(images, 3, 224, 224);
        var layers = model.Vision.Blocks.Count;
        var blocks = CandidateExtraction.Blocks(SensitiveBlock);
        var prefixes = blocks.ToDictionary(t => t, t => new RegisterPrefix(
            $"t{t}",
            Enumerable.Range(0, layers).ToDictionary(block => block, _ => (Row(model), Row(model)))));
        var settings = RegisterSearch.Settings(blocks, SensitiveBlock, PrefixCounts.Max(), new() { MaxDelete = DeleteCounts.Max() })
            .Where(setting => PrefixCounts.Contains(setting.PrefixCount) && DeleteCounts.Contains(setting.DeleteCount))
            .ToArray();
        var plans = RegisterSearch.Plans(EncoderPlan.Uniform(layers, new NaiveQuantizer(new(8, 8))), settings, prefixes);
        var together = new PlanTree(plans);
        PlanTree[] alone = [.. plans.Select(plan => new PlanTree([plan]))];
        using var runner = new PlanRunner(model.Vision);
        // Weights are quantized once for all plans, outside the timing: both sides share them.
        using (var few = pixels.narrow(0, 0, 1))
        {
            Seconds(runner, few, [together]);
        }

        var timing = PairedTiming.Measure(
            pairs, () => Seconds(runner, pixels, [together]), () => Seconds(runner, pixels, alone), warmUp: false);

        var predicted = (double)together.BlockForwardsAlone / together.BlockForwards;
        Console.WriteLine($"grid of {plans.Count} settings, k = {SensitiveBlock}, {images} images, batch {Batch}, {pairs} pairs");
        Console.WriteLine($"  block forwards an image: {together.BlockForwards} as a tree, {together.BlockForwardsAlone} alone, ratio {predicted:0.000}");
        Console.WriteLine($"  seconds: {timing.FirstMedian:0.00} as a tree, {timing.SecondMedian:0.00} alone, ratio {timing.Ratio:0.000}");
        Console.WriteLine($"  share of the predicted ratio: {100 * timing.Ratio / predicted:0.0} %");

        var stateBytes = (long)Batch * (1 + model.Config.Vision.Patches) * model.Config.Vision.Width * sizeof(float);
        Console.WriteLine(
            $"  states alive at most: {runner.PeakStates} ({runner.PeakStates * stateBytes >> 20} MiB); one a candidate block and one more are {blocks.Count + 1} ({(blocks.Count + 1) * stateBytes >> 20} MiB)");
    }

    private static double Seconds(PlanRunner runner, torch.Tensor pixels, IReadOnlyList<PlanTree> trees) =>
        PairedTiming.Seconds(() =>
        {
            for (var first = 0L; first < pixels.shape[0]; first += Batch)
            {
                using var batch = pixels.narrow(0, first, Math.Min(Batch, pixels.shape[0] - first));
                foreach (var tree in trees)
                {
                    runner.Run(batch, tree, (_, _) => { });
                }
            }
        });

    private static torch.Tensor Row(ClipModel model) => torch.randn(model.Config.Vision.Width);
}
