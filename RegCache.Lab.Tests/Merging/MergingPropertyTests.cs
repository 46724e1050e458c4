using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Encoders;
using RegCache.Lab.Merging;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Merging;

/// <summary>What holds for merging whatever the model, the method and the images.</summary>
public sealed class MergingPropertyTests : IDisposable
{
    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny with
    {
        // As deep as the presets ask for.
        Vision = RandomModels.Tiny.Vision with { Layers = 8, ImageSize = (40, 56) },
    });

    private readonly Tensor _images = new RandomTensors(4).Normal(3, 3, 40, 56);

    private VisionTower Tower => _model.Vision;

    [Fact]
    public void EveryTokenIsInExactlyOneGroup() => ForAll(IsMerging, setting =>
    {
        using var scope = torch.NewDisposeScope();
        var stream = Run(setting with { TrackSources = true }, _images);
        var tokens = Tower.Config.Patches + 1;
        if (stream.Sources is not { } sources || stream.Sizes is not { } sizes)
        {
            // Nothing merged: no block merges, or protected outliers leave no pair in any window.
            return stream.Length == tokens;
        }

        return AllEqual(sources.sum(1), 1)
            && AllEqual(sources.sum(2, keepdim: true) - sizes, 0)
            && AllEqual(sizes.sum(1), tokens)
            && AllEqual(sizes.narrow(1, 0, 1), 1)
            && stream.Length == sizes.shape[1];
    });

    [Fact]
    public void PruningDropsTokensAndKeepsTheOthersInOrder() => ForAll(method => !IsMerging(method), setting =>
    {
        using var scope = torch.NewDisposeScope();
        var stream = Run(setting, _images);
        var left = Tower.Config.Patches + 1;
        foreach (var count in setting.Schedule.Counts(Tower.Blocks.Count))
        {
            left -= BipartiteMatching.Cap(count, left - 1);
        }

        if (stream.Length != left || stream.Sizes is not null || stream.Positions is not { } positions)
        {
            return stream.Length == left && left == Tower.Config.Patches + 1;
        }

        var steps = positions.narrow(1, 1, left - 1) - positions.narrow(1, 0, left - 1);
        return AllEqual(positions.narrow(1, 0, 1), 0) && steps.gt(0).all().item<bool>() && positions.max().item<long>() <= Tower.Config.Patches;
    });

    [Fact]
    public void PermutingTheBatchPermutesTheResult() => ForAll(method => !IsRandom(method), setting =>
    {
        using var scope = torch.NewDisposeScope();
        var order = torch.tensor(new long[] { 2, 0, 1 });
        Tensor Permute(Tensor tensor) => tensor.index_select(0, order);
        var (tokens, permuted) = RunStages(setting, Permute);
        return (Permute(tokens) - permuted).abs().max().item<float>() < 1e-6f;
    });

    [Fact]
    public void AnImageDoesNotDependOnTheOthers() => ForAll(_ => true, setting =>
    {
        using var scope = torch.NewDisposeScope();
        var (tokens, alone) = RunStages(setting, tensor => torch.cat([tensor.narrow(0, 0, 1), -tensor.narrow(0, 1, 2).flip(1)]));
        return (tokens[0] - alone[0]).abs().max().item<float>() < 1e-6f && tokens.shape.SequenceEqual(alone.shape);
    });

    [Fact]
    public void MergingNothingChangesNoBit() => ForAll(_ => true, setting =>
    {
        using var scope = torch.NewDisposeScope();
        using var runner = new PlanRunner(Tower);
        var nothing = setting with { Schedule = MergeSchedule.Constant(0) };
        return nothing.ApplyTo(Plain).Equals(Plain)
            && runner.Run(_images, nothing.ApplyTo(Plain)).eq(Tower.Encode(_images)).all().item<bool>();
    });

    [Fact]
    public void StagesThatMergeNothingChangeNoBit()
    {
        using var scope = torch.NewDisposeScope();
        using var runner = new PlanRunner(Tower);
        var plan = EncoderPlan.Uniform(Tower.Blocks.Count, BlockPlan.Plain with
        {
            Between = [new MergeInWindows(0), new MergeTokens(0), new RandomPruning(0, 1), new AttentionPruning(0), new RandomMerging(0, 1)],
            ProportionalAttention = true,
        });
        Assert.True(runner.Run(_images, plan).eq(Tower.Encode(_images)).all().item<bool>());
    }

    [Fact]
    public void TreeEqualsOnePlanAtATime()
    {
        var settings = new[]
        {
            MergingSetting.ToMe(3),
            MergingSetting.Dfe(3, 2),
            MergingSetting.Lgtm(3, 1, 3),
            new MergingSetting(MergingMethods.RandomPruning, MergeSchedule.Constant(2)) { Seed = 5 },
            new MergingSetting(MergingMethods.RandomMerging, MergeSchedule.Constant(2)) { Seed = 5 },
        };
        var plans = settings.Select(setting => setting.ApplyTo(Plain)).Prepend(Plain).ToArray();
        using var scope = torch.NewDisposeScope();
        using var runner = new PlanRunner(Tower);
        var tree = new PlanTree(plans);
        var together = new Dictionary<int, Tensor>();
        runner.Run(_images, tree, (plan, features) => together[plan] = features.clone().DetachFromDisposeScope());
        scope.Attach(together.Values);
        foreach (var (index, plan) in plans.Index())
        {
            Assert.True(runner.Run(_images, plan).eq(together[index]).all().item<bool>(), $"plan {index}");
        }

        Assert.True(tree.BlockForwards < tree.BlockForwardsAlone);
    }

    [Fact]
    public void RandomBaselinesRepeatAndDependOnTheSeed()
    {
        using var scope = torch.NewDisposeScope();
        foreach (var method in new[] { MergingMethods.RandomPruning, MergingMethods.RandomMerging })
        {
            var setting = new MergingSetting(method, MergeSchedule.Constant(4)) { Seed = 7 };
            var first = Run(setting, _images).Positions!;
            Assert.True(first.eq(Run(setting, _images).Positions!).all().item<bool>());
            Assert.False(first.eq(Run(setting with { Seed = 8 }, _images).Positions!).all().item<bool>());
        }
    }

    [Fact]
    public void AttentionPruningKeepsWhatTheClassTokenSees()
    {
        using var scope = torch.NewDisposeScope();
        using var runner = new PlanRunner(Tower);
        var probe = new AttentionOf(1);
        var plan = Plain.With(1, block => block with { Between = [new AttentionPruning(6)] });
        var kept = runner.Forward(_images, plan, probe: probe).Positions!;
        var attention = probe.Probabilities!.mean([1]).select(1, 0);
        var lowestKept = attention.gather(1, kept.narrow(1, 1, kept.shape[1] - 1)).amin([1]);
        var pruned = attention.lt(lowestKept.unsqueeze(1)).narrow(1, 1, attention.shape[1] - 1).sum(1);
        Assert.True(AllEqual(pruned, 6));
    }

    public void Dispose()
    {
        _model.Dispose();
        _images.Dispose();
    }

    private EncoderPlan Plain => EncoderPlan.Plain(Tower.Blocks.Count);

    private static bool AllEqual(Tensor tensor, double value) => tensor.eq(value).all().item<bool>();

    private TokenBatch Run(MergingSetting setting, Tensor images)
    {
        using var runner = new PlanRunner(Tower);
        return runner.Forward(images, setting.ApplyTo(Plain));
    }

    private static bool IsRandom(MergingMethod method) => method == MergingMethods.RandomPruning || method == MergingMethods.RandomMerging;

    private static bool IsMerging(MergingMethod method) => method != MergingMethods.RandomPruning && method != MergingMethods.AttentionPruning;

    // The stages alone, on given tokens and keys, as they are and changed. Through the encoder, a matrix product of other rows may round
    // differently, and a near-tie would merge differently.
    private (Tensor Tokens, Tensor Changed) RunStages(MergingSetting setting, Func<Tensor, Tensor> change)
    {
        var draw = new RandomTensors((int)setting.Seed);
        var (width, heads) = (Tower.Config.Width, Tower.Config.Heads);
        var layout = new TokenLayout(1, 0, Tower.Config.Grid.Height, Tower.Config.Grid.Width);
        var stream = new TokenBatch(draw.Normal(3, 1 + Tower.Config.Patches, width), layout);
        var changed = stream with { Tokens = change(stream.Tokens) };
        foreach (var (block, plan) in setting.ApplyTo(Plain).Blocks.Index())
        {
            foreach (var stage in plan.Before.Concat(plan.Between))
            {
                var (keys, queries) = (draw.Normal(3, heads, stream.Length, width / heads), draw.Normal(3, heads, stream.Length, width / heads));
                var context = new StageContext(block) { Keys = keys, Queries = queries };
                stream = stage.Apply(stream, context);
                changed = stage.Apply(changed, context with { Keys = change(keys), Queries = change(queries) });
            }
        }

        return (stream.Tokens, changed.Tokens);
    }

    private void ForAll(Func<MergingMethod, bool> which, Func<MergingSetting, bool> holds)
    {
        var blocks = Tower.Blocks.Count;
        var settings =
            from method in Gen.Elements(MergingMethods.All.Where(which))
            from count in Gen.Choose(0, 25)
            from first in Gen.Choose(0, blocks)
            from second in Gen.Choose(0, blocks)
            from handling in Gen.Elements(Enum.GetValues<OutlierHandling>())
            from outliers in Gen.Choose(0, 6)
            from proportional in Gen.Elements(true, false)
            select new MergingSetting(method, MergeSchedule.Constant(count))
            {
                Options = new(new Dictionary<string, string>
                {
                    [MergingMethods.Dense.Name] = $"{Math.Min(first, second)}",
                    [MergingMethods.LocalStart.Name] = $"{Math.Min(first, second)}",
                    [MergingMethods.GlobalStart.Name] = $"{Math.Max(first, second)}",
                }),
                Outliers = new(handling, outliers),
                ProportionalAttention = proportional,
                Seed = count,
            };
        Prop.ForAll(settings.ToArbitrary(), holds).Check(RandomTensors.Properties);
    }

    private sealed class AttentionOf(int wanted) : IActivationProbe
    {
        public Tensor? Probabilities { get; private set; }

        public bool Wants(int block, ActivationKind kind) => block == wanted && kind == ActivationKind.AttentionProbabilities;

        public void Observe(int block, ActivationKind kind, Tensor value) => Probabilities = value.clone().DetachFromDisposeScope();
    }
}
