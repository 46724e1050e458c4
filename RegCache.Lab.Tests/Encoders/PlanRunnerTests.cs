using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using TorchSharp;

namespace RegCache.Lab.Tests.Encoders;

public sealed class PlanRunnerTests : IDisposable
{
    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny);
    private readonly RandomTensors _draw = new(1);
    private readonly torch.Tensor _images;

    public PlanRunnerTests() => _images = _draw.Normal(5, 3, 32, 24);

    private VisionTower Tower => _model.Vision;

    [Fact]
    public void TreeEqualsOnePlanAtATimeBitForBit()
    {
        var random = new Random(1);
        var prefixes = new[] { RandomPrefix("a"), RandomPrefix("b") };
        var plans = Enumerable.Range(0, 40).Select(_ => RandomPlan(random, prefixes)).ToArray();
        var together = RunTogether(new PlanTree(plans), out var shared);

        for (var index = 0; index < plans.Length; index++)
        {
            using var runner = new PlanRunner(Tower);
            using var alone = runner.Run(_images, plans[index]);
            GoldenTensors.AssertIdentical(alone, together[index], $"plan {index}: {plans[index]}");
        }

        Assert.True(shared < plans.Length * Tower.Blocks.Count, "the random plans share nothing, so the test shows nothing");
    }

    [Theory]
    [InlineData(12, 7, 15, 10)]
    [InlineData(12, 5, 15, 10)]
    [InlineData(7, 2, 3, 4)]
    public void GridCostsWhatTheSpecificationSays(int layers, int k, int maxPrefix, int maxDelete)
    {
        var options = new RegCacheOptions { MaxPrefix = maxPrefix, MaxDelete = maxDelete };
        var blocks = CandidateExtraction.Blocks(k);
        var settings = RegisterSearch.Settings(blocks, k, maxPrefix, options).Where(setting => setting.PrefixCount > 0).ToArray();
        var prefixes = blocks.ToDictionary(block => block, block => new RegisterPrefix(
            $"t{block}", new Dictionary<int, (torch.Tensor, torch.Tensor)>()));
        var tree = new PlanTree(RegisterSearch.Plans(EncoderPlan.Plain(layers), settings, prefixes));

        var cells = maxPrefix * (maxDelete + 1);
        Assert.Equal(blocks.Count * cells * layers, tree.BlockForwardsAlone);
        Assert.Equal(
            k + (maxPrefix * blocks.Sum(t => k - t)) + (blocks.Count * cells * (layers - k)), tree.BlockForwards);
    }

    [Fact]
    public void SensitivityProbesShareTheFloatBlocks()
    {
        var tree = SensitivitySearch.Plans(12, new NaiveQuantizer(new(8, 8)));
        Assert.Equal((4 * 12 * 13 / 2) + 12, tree.BlockForwards);
    }

    [Fact]
    public void SearchKeepsFewStates()
    {
        const int k = 3;
        var prefix = RandomPrefix("p");
        var blocks = CandidateExtraction.Blocks(k);
        var settings = RegisterSearch.Settings(blocks, k, 4, new RegCacheOptions { MaxDelete = 3 });
        var tree = new PlanTree(RegisterSearch.Plans(
            EncoderPlan.Uniform(Tower.Blocks.Count, new NaiveQuantizer(new(8, 8))), settings, blocks.ToDictionary(t => t, _ => prefix)));
        using var runner = new PlanRunner(Tower);
        runner.Run(_images, tree, (_, _) => { });
        Assert.Equal(tree.BlockForwards, runner.BlockForwards);
        // One state for each candidate block and block k.
        Assert.InRange(runner.PeakStates, 2, blocks.Count + 1);
    }

    [Fact]
    public void InactivePlansDoNotRun()
    {
        var plans = new[] { EncoderPlan.Plain(4), EncoderPlan.Uniform(4, new NaiveQuantizer(new(4, 4))) };
        using var runner = new PlanRunner(Tower);
        var seen = new List<int>();
        runner.Run(_images, new(plans), (plan, _) => seen.Add(plan), plan => plan == 1);
        Assert.Equal([1], seen);
        Assert.Equal(4, runner.BlockForwards);
    }

    public void Dispose()
    {
        _model.Dispose();
        _images.Dispose();
    }

    private Dictionary<int, torch.Tensor> RunTogether(PlanTree tree, out long forwards)
    {
        using var runner = new PlanRunner(Tower);
        var results = new Dictionary<int, torch.Tensor>();
        runner.Run(_images, tree, (plan, features) => results[plan] = features.clone().DetachFromDisposeScope());
        forwards = runner.BlockForwards;
        Assert.Equal(tree.BlockForwards, forwards);
        return results;
    }

    private RegisterPrefix RandomPrefix(string id) => new(
        id,
        Enumerable.Range(0, Tower.Blocks.Count).ToDictionary(
            block => block, _ => (_draw.Normal(Tower.Config.Width), _draw.Normal(Tower.Config.Width))));

    // Few choices at each seam, so that plans often agree for a while.
    private EncoderPlan RandomPlan(Random random, RegisterPrefix[] prefixes)
    {
        var plan = EncoderPlan.Plain(Tower.Blocks.Count);
        if (random.Next(2) == 0)
        {
            plan = EncoderPlan.Uniform(
                Tower.Blocks.Count,
                new NaiveQuantizer(new(8, random.Next(2) == 0 ? 8 : 4))
                {
                    Scope = random.Next(2) == 0 ? ActivationScope.Batch : ActivationScope.Image,
                });
        }

        var start = random.Next(Tower.Blocks.Count);
        return new RegCacheSetting(start, random.Next(3), random.Next(Tower.Blocks.Count), random.Next(4))
            .ApplyTo(plan, prefixes[random.Next(prefixes.Length)]);
    }
}
