using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Pooling.Towers;
using RegCache.Lab.Training.Clip;
using TorchSharp;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// The demo model with pooling by several rules at two costs, finetuned on long captions, the same pairs and steps for all, beside the plain model and
/// beside ToMe on that one without training: zero-shot accuracy, retrieval, images per second.
/// </summary>
internal static class PooledClipBenchmark
{
    private const int Batch = 64;
    private const int TestImages = 960;

    // At which block and to how many tokens: about a half and a quarter of the multiply-accumulates.
    private static readonly (string Cost, int Block, double Rate)[] _costs = [("1/2", 2, 0.25), ("1/4", 1, 0.0625)];

    private static readonly string[] _rules = ["fixed", "drip", "ditto", "h-net"];

    /// <summary>Trains and measures.</summary>
    public static void Run(int steps, int seeds, int threads)
    {
        torch.set_num_threads(threads);
        using var experiment = Experiment.Open(new() { SearchCount = 1, ValidationCount = TestImages, OnTensorOperators = true, Threads = threads });
        var folder = Directory.CreateTempSubdirectory("pooled-clip-").FullName;
        using var pairs = ShapesImages.FindPairs(ShapesImages.LongPairName, ShapesSplit.Train, Batch * steps)!;
        var plain = EncoderPlan.Plain(experiment.Tower.Blocks.Count);
        List<Variant> variants = [];
        try
        {
            foreach (var seed in Enumerable.Range(0, seeds))
            {
                var trained = Train(experiment, pairs, null, 0, 1, seed, steps, Path.Combine(folder, $"plain-{seed}"));
                variants.Add(new("plain", "1", trained, plain, seed));
                foreach (var (cost, block, rate) in _costs)
                {
                    foreach (var rule in _rules)
                    {
                        var pooled = Train(experiment, pairs, rule, block, rate, seed, steps, Path.Combine(folder, $"{rule}-{block}-{seed}"));
                        variants.Add(new(rule, cost, pooled, plain, seed));
                    }

                    variants.Add(new("ToMe, not trained for it", cost, trained, Merged(trained.Tower, variants[^1].Macs), seed));
                }
            }

            Print(variants, experiment, steps);
        }
        finally
        {
            variants.Select(variant => variant.Model).Distinct().ToList().ForEach(model => model.Dispose());
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Experiment Train(
        Experiment experiment, ShapesImages pairs, string? rule, int block, double rate, int seed, int steps, string folder)
    {
        var training = new ClipTrainingConfig
        {
            Pretrained = "the demo model", TrainData = ShapesImages.LongPairName, BatchSize = Batch, Epochs = 1, Lr = 1e-3, Warmup = 20, Wd = 0, Eps = 1e-8,
            GradClipNorm = 1, CropScale = null, Seed = seed,
        };
        var layers = experiment.Tower.Blocks.Count;
        training = rule is null ? training : training with
        {
            BoundaryTower = "vit", BoundaryRule = rule, BoundaryRate = [rate], BoundaryLayers = $"{block},{layers - block}",
        };
        using var model = PooledModels.Of(
            experiment.Model, training.WithPooling(experiment.Model.Config, keepDepth: true), architecture => ClipInitialization.Draw(architecture, seed));
        using var task = new ClipTask(model, pairs, null, experiment.Preprocess, experiment.Clip.RequireTokenizer(), training);
        foreach (var step in Enumerable.Range(0, steps))
        {
            using var metrics = task.Step(step);
        }

        Console.WriteLine($"trained {rule ?? "plain"} at block {block}, rate {rate}, seed {seed}");
        ModelFolder.Save(model, folder, ModelFolder.Open(experiment.Clip.Folder));
        return Experiment.Open(experiment.Options with { Model = folder });
    }

    // The fewest merged tokens that cost no more, or as many as can merge.
    private static EncoderPlan Merged(VisionTower tower, long macs)
    {
        var plain = EncoderPlan.Plain(tower.Blocks.Count);
        EncoderPlan[] plans = [.. Enumerable.Range(1, tower.Config.Patches).Select(count => MergingSetting.ToMe(count).ApplyTo(plain))];
        return plans.FirstOrDefault(plan => MacsTable.Of(tower, plan).Total <= macs) ?? plans[^1];
    }

    private static void Print(List<Variant> variants, Experiment experiment, int steps)
    {
        var (address, first) = (RetrievalAddress.Parse(ShapesImages.LongPairName), variants.Where(variant => variant.Seed == 0).ToList());
        var set = address.Open();
        var results = variants.Select(variant => (
            variant.Name,
            variant.Cost,
            Top1: variant.Model.Evaluate(variant.Plan)[0].Accuracy,
            Retrieval: RetrievalEvaluation.Run(variant.Model, set, [new(variant.Name, variant.Name, variant.Plan)])[0])).ToList();
        var speeds = Throughput.Measure([.. first.Select(variant => (variant.Model.Tower, variant.Plan))], new() { Batch = Batch, Runs = 8, Repeats = 5 });
        Console.WriteLine($"{steps} steps of {Batch} pairs, {TestImages} test images; speed ratio to the plain model, measured in turn");
        Console.WriteLine("| pooling | cost | zero-shot top-1 % by seed | image to text R@1 % | text to image R@1 % | million MACs | speed ratio | by MACs |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var (index, variant) in first.Index())
        {
            var seeds = results.Where(result => (result.Name, result.Cost) == (variant.Name, variant.Cost)).ToList();
            string Each(IEnumerable<double> values) => string.Join(", ", values.Select(value => $"{value:0.0}"));
            var (toText, toImage) = (seeds.Select(seed => seed.Retrieval.ImageToText.RecallAt1), seeds.Select(seed => seed.Retrieval.TextToImage.RecallAt1));
            Console.WriteLine(
                $"| {variant.Name} | {variant.Cost} | {Each(seeds.Select(seed => seed.Top1))} | {Each(toText)} | {Each(toImage)} "
                + $"| {variant.Macs / 1e6:0.0} | {speeds[index].Ratio:0.00} | {(double)first[0].Macs / variant.Macs:0.00} |");
        }
    }

    private sealed record Variant(string Name, string Cost, Experiment Model, EncoderPlan Plan, int Seed)
    {
        public long Macs { get; } = MacsTable.Of(Model.Tower, Plan).Total;
    }
}
