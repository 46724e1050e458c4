using System.Diagnostics;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using Spectre.Console;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>What a run would cost: plans, block forwards with and without reuse, and the time they would take here.</summary>
internal static class DryRun
{
    /// <summary>The plans of an evaluation, in one line.</summary>
    public static void Print(CommandContext context, PlanRequest request, QuantizationBits bits, string data)
    {
        // What a run costs does not depend on the ranges, so nothing is calibrated to tell it.
        var steps = request.Steps(_ => new NaiveQuantizer(bits));
        var tree = new PlanTree([.. steps.Select(step => step.Plan)]);
        context.Output.WriteLine(
            $"{steps.Count} plans on {data}: {string.Join(", ", steps.Select(step => step.Name))}; {tree.BlockForwards} block forwards an image instead of {tree.BlockForwardsAlone}.");
    }

    /// <summary>The stages of a search, as a table.</summary>
    public static void Print(CommandContext context, Experiment experiment, RegCacheOptions options)
    {
        var layers = experiment.Tower.Blocks.Count;
        // What a search costs does not depend on the ranges, so nothing is calibrated for this.
        var quantizer = new NaiveQuantizer(options.Bits);
        var seconds = SecondsPerBlock(experiment, quantizer);
        var table = new Table().AddColumns("stage", "plans", "images", "block forwards an image", "without reuse", "time");
        void Row(string stage, int plans, int images, long forwards, long alone) => table.AddRow(
            stage, $"{plans}", $"{images}", $"{forwards}", $"{alone}", $"{TimeSpan.FromSeconds(seconds * forwards * images):d\\.hh\\:mm\\:ss}");

        var (search, validation) = (experiment.Search.Count, experiment.Validation.Count);
        var sensitivity = SensitivitySearch.Plans(layers, quantizer);
        Row("1 sensitivity", sensitivity.Plans.Count, search, sensitivity.BlockForwards, sensitivity.BlockForwardsAlone);
        Row("3 candidates", 1, search, layers, layers);
        Row("4 averaging (at most)", 1, Math.Min(search, 4 * options.TopTokens), layers, layers);
        // The sensitive block is not known before stage 1: the search costs most when it is early.
        foreach (var block in new[] { layers / 3, layers / 2, 2 * layers / 3 }.Distinct())
        {
            var tree = Grid(block, layers, quantizer, options);
            Row($"5 search, if k = {block}", tree.Plans.Count, search, tree.BlockForwards, tree.BlockForwardsAlone);
        }

        Row("6 evaluation (at most)", 5, validation, 5 * layers, 5 * layers);
        context.Console.Write(table);
        context.Output.WriteLine(
            $"Measured here: {1000 * seconds:0.00} ms a block and image at batch {experiment.Options.BatchSize}; decoding and quantizing come on top.");
    }

    private static PlanTree Grid(int sensitiveBlock, int layers, ILayerTransform quantizer, RegCacheOptions options)
    {
        var blocks = CandidateExtraction.Blocks(sensitiveBlock);
        var settings = RegisterSearch.Settings(blocks, sensitiveBlock, options.MaxPrefix, options);
        var prefixes = blocks.ToDictionary(
            block => block, block => new RegisterPrefix($"block {block}", new Dictionary<int, (torch.Tensor, torch.Tensor)>()));
        return new(RegisterSearch.Plans(EncoderPlan.Uniform(layers, quantizer), settings, prefixes));
    }

    private static double SecondsPerBlock(Experiment experiment, ILayerTransform quantizer)
    {
        var tower = experiment.Tower;
        var (height, width) = tower.Config.ImageSize;
        var (device, type) = tower.Placement;
        var batch = experiment.Options.BatchSize;
        using var noGradient = torch.inference_mode();
        using var images = torch.randn([batch, 3, height, width], dtype: type, device: device);
        using var runner = new PlanRunner(tower);
        var plan = EncoderPlan.Uniform(tower.Blocks.Count, quantizer);
        double Pass()
        {
            var clock = Stopwatch.StartNew();
            using var features = runner.Run(images, plan);
            features.cpu().Dispose();
            return clock.Elapsed.TotalSeconds;
        }

        Pass();
        return Pass() / (batch * tower.Blocks.Count);
    }
}
