using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Merging;
using RegCache.Lab.Placement;
using RegCache.Lab.Pooling;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using RegCache.Lab.Tests.Encoders;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Tests.Pooling;

/// <summary>Every pair of systems in one plan: registers, deletion, merging, late tokens, pooling, memory, quantization.</summary>
[Collection(ProcessWide.Name)]
public sealed class PoolingCompositionTests : IDisposable
{
    private const int Depth = 4;

    private static readonly ITokenStage _late = new EnterTokens(TokenRole.Register, torch.randn([2, 24], generator: new torch.Generator(9)).DetachFromDisposeScope());

    private static readonly Dictionary<string, Func<EncoderPlan, bool, EncoderPlan>> _plans = new()
    {
        ["registers"] = (plan, on) => new RegCacheSetting(1, on ? 2 : 0, 0, 0).ApplyTo(plan, Prefix()),
        ["deletion"] = (plan, on) => new RegCacheSetting(0, 0, 2, on ? 2 : 0).ApplyTo(plan, null),
        ["late tokens"] = (plan, on) => on ? plan.With(1, block => block with { Before = [.. block.Before, _late] }) : plan,
        ["pooling"] = (plan, on) => on ? new PoolingSetting("cosine", 0.5, 2).ApplyTo(plan) : plan,
        ["merging"] = (plan, on) => MergingSetting.ToMe(on ? 1 : 0).ApplyTo(plan),
        ["memory"] = (plan, _) => plan,
        ["quantizer"] = (plan, on) => on ? ((IQuantizer)new NaiveQuantizer(new(8, 8))).ApplyTo(plan) : plan,
    };

    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly Tensor _images = torch.randn(3, 3, 32, 24, generator: new torch.Generator(5));

    public static TheoryData<string, string> Pairs
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var (index, first) in _plans.Keys.Index())
            {
                foreach (var second in _plans.Keys.Skip(index + 1))
                {
                    data.Add(first, second);
                }
            }

            return data;
        }
    }

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(Pairs))]
    public void EveryPairComposesAndSwitchingOneOffGivesTheOtherAlone(string first, string second)
    {
        Dictionary<string, Tensor> features = [];
        foreach (var on in new[] { new[] { first, second }, [first], [second], [] })
        {
            using var model = Model(on.Contains("memory"));
            var plan = Plan(on);
            using var runner = new PlanRunner(model.Vision);
            var stream = runner.Forward(_images, plan);
            AssertSound(stream, on);
            features[string.Join('+', on)] = runner.Run(_images, plan);
            if (!on.Contains("memory"))
            {
                // In a tree with all others it is the same, bit for bit.
                using var together = new PlanRunner(model.Vision);
                var wanted = new[] { new[] { first, second }, [first], [second], [] }.Where(systems => !systems.Contains("memory")).Select(Plan).ToList();
                together.Run(_images, new PlanTree(wanted), (index, result) =>
                {
                    if (wanted[index].Equals(plan))
                    {
                        GoldenTensors.AssertIdentical(features[string.Join('+', on)], result);
                    }
                });
            }
        }

        // Each does something beside the other.
        Assert.Equal(4, features.Values.Select(tensor => tensor.sum().item<float>()).Distinct().Count());

        // Counts of zero are the other system alone.
        foreach (var (kept, dropped) in new[] { (first, second), (second, first) })
        {
            using var model = Model(kept == "memory");
            using var runner = new PlanRunner(model.Vision);
            var plan = EncoderPlan.Plain(Depth);
            foreach (var name in _plans.Keys.Where(name => name == kept || name == dropped))
            {
                plan = _plans[name](plan, name == kept);
            }

            GoldenTensors.AssertIdentical(features[kept], runner.Run(_images, plan));
        }
    }

    [Fact]
    public void AllAtOnceRunAndAccountForTheirTokens()
    {
        string[] all = [.. _plans.Keys];
        using var model = Model(hasMemory: true);
        var plan = Plan(all);
        using var runner = new PlanRunner(model.Vision);
        var stream = runner.Forward(_images, plan);
        AssertSound(stream, all);
        var macs = MacsTable.Of(model.Vision, plan);
        Assert.True(macs.Total < MacsTable.Of(model.Vision, EncoderPlan.Plain(Depth)).Total);
        Assert.True(macs.Of(MacsKind.Matching) > 0);
        Assert.Equal(stream.Length, macs.FinalTokens);
    }

    [Fact]
    public void RaggedPoolingHidesItsPaddingFromEverythingBehind()
    {
        using var model = Model(hasMemory: false);
        using var runner = new PlanRunner(model.Vision);
        using var generator = new torch.Generator(7);
        var predictor = new MlpBoundaryPredictor(
            new Linear(torch.randn([24, 24], generator: generator), torch.zeros(24)), new Linear(torch.randn([1, 24], generator: generator), torch.zeros(1)));
        var stage = new PoolRuns(PoolingRules.All.Find("drip"), new(), predictor);
        Assert.True(runner.Forward(_images, EncoderPlan.Plain(Depth).With(1, block => block with { Before = [stage] })).HasPadding);
        foreach (var names in new[] { Array.Empty<string>(), ["deletion"], ["merging"], ["registers"], ["late tokens"] })
        {
            var plan = names.Aggregate(EncoderPlan.Plain(Depth).With(1, block => block with { Before = [stage] }), (current, name) => _plans[name](current, true));
            var together = runner.Run(_images, plan);
            foreach (var image in Enumerable.Range(0, 3))
            {
                GoldenTensors.AssertClose(together.narrow(0, image, 1), runner.Run(_images.narrow(0, image, 1), plan), 1e-5);
            }
        }
    }

    [Fact]
    public void RunsOfEqualLengthArePlainMeans()
    {
        using var model = Model(hasMemory: false);
        using var noGradient = torch.no_grad();
        var stream = model.Vision.Forward(_images, 2);
        var pooled = PoolRuns.WithoutTraining("every", 0.5).Apply(stream, new(2));
        Assert.Equal(1 + 6, pooled.Length);
        GoldenTensors.AssertIdentical(stream.Tokens.narrow(1, 0, 1), pooled.Tokens.narrow(1, 0, 1));
        GoldenTensors.AssertClose(stream.Tokens.narrow(1, 1, 12).view(3, 6, 2, -1).mean([2]), pooled.Tokens.narrow(1, 1, 6), 1e-6);
        Assert.Equal([0L, 1, 3, 5, 7, 9, 11], pooled.Positions![0].data<long>().ToArray());
    }

    [Fact]
    public void PooledTokensKnowTheirPatches()
    {
        using var model = Model(hasMemory: false);
        var plan = EncoderPlan.Plain(Depth).With(0, block => block with { Before = [new TrackSources()] });
        plan = new PoolingSetting("fixed", 0.4, 2) { Order = PatchOrder.Serpentine }.ApplyTo(plan);
        using var runner = new PlanRunner(model.Vision);
        var stream = runner.Forward(_images, plan);
        Assert.True(stream.Sources!.sum(1).eq(1).all().item<bool>());
        Assert.True(stream.Sources!.sum(2, keepdim: true).eq(stream.Sizes!).all().item<bool>());
    }

    [Theory]
    [InlineData("needs a trained predictor", "ditto", 0.5, 1)]
    [InlineData("blocks 0 to 3", "every", 0.5, 4)]
    [InlineData("must be above 0 and below 1", "every", 1, 1)]
    public void ImpossibleSettingsAreRefused(string why, string rule, double rate, int block) => Assert.Contains(
        why, Assert.Throws<UserException>(() => new PoolingSetting(rule, rate, block).ApplyTo(EncoderPlan.Plain(Depth))).Message, StringComparison.Ordinal);

    [Fact]
    public void TokensThatAreReadBackMustAllBeThere()
    {
        using var model = PooledTowerTests.Create(PooledTowerTests.Config("dtp-vit", pooling => pooling));
        using var runner = new PlanRunner(model.Vision);
        var quantized = ((IQuantizer)new NaiveQuantizer(new(8, 8))).ApplyTo(EncoderPlan.Plain(Depth));
        Assert.NotEqual(runner.Run(_images, EncoderPlan.Plain(Depth)), runner.Run(_images, quantized));
        var deleting = EncoderPlan.Plain(Depth).With(2, block => block with { Before = [new DeleteOutliers(1)] });
        Assert.Contains("leave out deletion and merging", Assert.Throws<UserException>(() => runner.Run(_images, deleting)).Message, StringComparison.Ordinal);
    }

    private static EncoderPlan Plan(string[] systems) =>
        _plans.Keys.Where(systems.Contains).Aggregate(EncoderPlan.Plain(Depth), (plan, name) => _plans[name](plan, true));

    private static ClipModel Model(bool hasMemory)
    {
        var config = RandomModels.Tiny with { Text = null };
        return hasMemory
            ? new(config with { Vision = config.Vision with { Memory = new() { Blocks = [1], KeyWidth = 8, ValueWidth = 8 } } }, Weights(config))
            : RandomModels.Create(config);

        // The memory stands beside the same other weights.
        static WeightTable Weights(ClipConfig config)
        {
            var with = config with { Vision = config.Vision with { Memory = new() { Blocks = [1], KeyWidth = 8, ValueWidth = 8 } } };
            using var plain = RandomModels.Weights(config);
            using var drawn = ClipInitialization.Draw(with, 3);
            return new("random weights", drawn.Names.Select(name => KeyValuePair.Create(name, (plain.Contains(name) ? plain[name] : drawn[name]).clone())));
        }
    }

    private static void AssertSound(TokenBatch stream, IReadOnlyList<string> systems)
    {
        var registers = systems.Contains("late tokens") ? 2 : 0;
        Assert.Equal(1, stream.Layout.ClassTokens);
        Assert.Equal(registers, stream.Layout.RegisterTokens);
        Assert.True(stream.Tokens.isfinite().all().item<bool>());
        Assert.Equal(3, stream.Images);
        if (stream.Sizes is not { } sizes)
        {
            Assert.Equal(1 + registers + 12 - (systems.Contains("deletion") ? 2 : 0), stream.Length);
            return;
        }

        Assert.Equal(stream.Length, sizes.shape[1]);
        var patches = sizes.narrow(1, 1 + registers, stream.Length - 1 - registers);
        if (!systems.Contains("deletion"))
        {
            Assert.True(patches.sum(1).eq(12).all().item<bool>());
        }

        Assert.True(sizes.narrow(1, 0, 1 + registers).eq(1).all().item<bool>());
        Assert.True(stream.HasPadding || patches.ge(1).all().item<bool>());
    }

    private static RegisterPrefix Prefix() => new("p", Enumerable.Range(0, Depth).ToDictionary(block => block, block =>
    {
        using var generator = new torch.Generator((ulong)block);
        return (torch.randn(24, generator: generator).DetachFromDisposeScope(), torch.randn(24, generator: generator).DetachFromDisposeScope());
    }));
}
