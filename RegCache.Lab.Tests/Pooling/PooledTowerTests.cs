using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Towers;
using RegCache.Lab.Tests.Encoders;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Tests.Pooling;

/// <summary>What holds of every pooled tower, whatever its weights.</summary>
public sealed class PooledTowerTests : IDisposable
{
    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly Tensor _images = torch.randn(5, 3, 32, 24, generator: new torch.Generator(5));

    public static TheoryData<string> Towers => [.. PooledTowers.All.Names];

    public static TheoryData<string, string> TowersAndRules
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var tower in PooledTowers.All)
            {
                foreach (var rule in PoolingRules.All.Where(rule => rule.Forces))
                {
                    data.Add(tower.Name, rule.Name);
                }
            }

            return data;
        }
    }

    public void Dispose() => _scope.Dispose();

    [Theory]
    [MemberData(nameof(TowersAndRules))]
    public void AnImageDoesNotDependOnItsBatch(string tower, string rule)
    {
        using var model = Create(Config(tower, pooling => pooling with { Rule = rule }));
        using var noGradient = torch.no_grad();
        var together = model.ImageTower.Encode(_images);
        foreach (var image in Enumerable.Range(0, (int)_images.shape[0]))
        {
            GoldenTensors.AssertClose(together.narrow(0, image, 1), model.ImageTower.Encode(_images.narrow(0, image, 1)), 1e-5);
        }
    }

    [Fact]
    public void TwoPoolingsDoNotDependOnTheBatchEither()
    {
        foreach (var tower in new[] { "drip", "vit" })
        {
            using var model = Create(Config(tower, pooling => pooling with { Layers = [1, 2, 1], Rates = [0.5, 0.5] }));
            using var noGradient = torch.no_grad();
            var together = model.ImageTower.Encode(_images);
            foreach (var image in Enumerable.Range(0, (int)_images.shape[0]))
            {
                GoldenTensors.AssertClose(together.narrow(0, image, 1), model.ImageTower.Encode(_images.narrow(0, image, 1)), 1e-5);
            }
        }
    }

    [Fact]
    public void AnOpenTailDependsOnTheBatch()
    {
        using var model = Create(Config("drip", pooling => pooling with { OpenTail = true, MeanOverPadding = true }));
        using var noGradient = torch.no_grad();
        Assert.False(model.ImageTower.Encode(_images).narrow(0, 0, 1).allclose(model.ImageTower.Encode(_images.narrow(0, 0, 1)), 1e-5, 1e-5));
    }

    [Theory]
    [MemberData(nameof(Towers))]
    public void CheckpointingGivesTheSameGradientsAndNoiseTheSameFeatures(string tower)
    {
        var config = Config(tower, pooling => pooling) with { Text = RandomModels.Tiny.Text! with { Layers = 3, Pooling = new() { Layers = [1, 1, 1] } } };
        var ids = torch.tensor([3L, 7, 9, 49, 0, 0, 0, 0, 0, 0, 5, 8, 2, 11, 12, 49, 0, 0, 0, 0], [2, 10]);
        List<Dictionary<string, Tensor>> gradients = [];
        List<Tensor> features = [];
        foreach (var checkpointing in new[] { false, true })
        {
            using var model = Create(config);
            foreach (var (_, weight) in model.Weights.Parameters)
            {
                weight.requires_grad = true;
            }

            var passes = new TowerPasses(model, null, 0);
            using var images = passes.Images(_images, CounterRandom.Of(1, 2, 3), checkpointing, share: 0.5);
            using var texts = passes.Texts(ids, checkpointing, CounterRandom.Of(1, 2, 3), share: 0.5);
            images.Backward(torch.ones_like(images.Features));
            texts.Backward(torch.ones_like(texts.Features));
            Assert.InRange(images.Pooling!.Rate!.item<float>(), 0, 1);
            Assert.True(texts.Pooling!.Loss!.item<float>() > 0);
            features.Add(torch.cat([images.Features, texts.Features], 0).clone());
            gradients.Add(model.Weights.Parameters.Where(pair => pair.Value.grad is not null).ToDictionary(pair => pair.Key, pair => pair.Value.grad!.clone()));
        }

        GoldenTensors.AssertIdentical(features[0], features[1]);
        Assert.Equal(gradients[0].Keys, gradients[1].Keys);
        Assert.All(gradients[0], pair => GoldenTensors.AssertClose(pair.Value, gradients[1][pair.Key], 1e-6));
        Assert.All(
            gradients[0].Where(pair => pair.Key.Contains("boundary_predictor", StringComparison.Ordinal)),
            pair => Assert.True(pair.Value.abs().sum().item<float>() > 0, $"{pair.Key} gets no gradient"));
    }

    [Fact]
    public void TheBoundariesLossIsWeightedByThePassesShare()
    {
        Tensor Gradient(double share, double weight)
        {
            using var model = Create(Config("vit", pooling => pooling with { LossWeight = weight, DetachedPooling = true }));
            var bias = model.Weights["visual.boundary_predictor.boundary_predictor.2.bias"];
            bias.requires_grad = true;
            using var pass = new TowerPasses(model, null, 0).Images(_images, CounterRandom.Of(1, 2, 3), checkpointing: false, share: share);
            pass.Backward(torch.zeros_like(pass.Features));
            return bias.grad!.clone();
        }

        var whole = Gradient(1, 1);
        Assert.NotEqual(0, whole.item<float>());
        GoldenTensors.AssertClose(whole * 0.25, Gradient(0.25, 1), 1e-6);
        GoldenTensors.AssertClose(whole * 3, Gradient(1, 3), 1e-6);
    }

    [Theory]
    [MemberData(nameof(Towers))]
    public void ItsConfigurationIsReadBack(string tower)
    {
        var config = Config(tower, pooling => pooling with
        {
            Rule = "drip", Temperature = 0.3, Threshold = 0.4, LossWeight = 2, Band = (0.1, 0.2), Order = PatchOrder.Hilbert, Gradient = "by_state",
            ExactBudget = true, DetachedPooling = true, OpenTail = true, MeanOverPadding = true, AttendPadding = true, LegacyRelShift = tower == "drip", PoolPadding = true,
        });
        config = config with { Text = RandomModels.Tiny.Text! with { Layers = 4, Pooling = new() { Layers = [1, 2, 1], Boundaries = TextBoundaryKind.Words, Rate = 0.4 } } };
        using var json = JsonDocument.Parse(ClipConfigJson.ToJson(config));
        var read = ClipConfigJson.Parse(json.RootElement, "test");
        Assert.Equal(config.Vision.Pooling, read.Vision.Pooling);
        Assert.Equal(config.Text.Pooling, read.Text!.Pooling);
        Assert.Equal(ClipParameters.Of(config).Select(parameter => parameter.Name), ClipParameters.Of(read).Select(parameter => parameter.Name));
        Assert.Contains(tower, config.Describe(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pools 1 time, but `rates` has 2", "dtp-vit", "0.5,0.5", "1,2,1", "drip")]
    [InlineData("pools 0 to 2 times", "drip", "0.5,0.5,0.5", "1,1,1,1", "drip")]
    [InlineData("has 2 stacks of blocks", "drip", "0.5", "4", "drip")]
    [InlineData("has 4 blocks, but the stacks [2, 8]", "drip", "0.5", "2,8", "drip")]
    [InlineData("The boundary rate is 1.5", "drip", "1.5", "2,2", "drip")]
    [InlineData("The pooling rule 'half' is unknown", "drip", "0.5", "2,2", "half")]
    [InlineData("nobody would see what is pooled", "vit", "0.5", "4,0", "drip")]
    public void ImpossibleTowersAreRefusedInOneSentence(string why, string tower, string rates, string layers, string rule)
    {
        var pooling = new TowerPooling
        {
            Tower = tower, Rule = rule, Layers = [.. layers.Split(',').Select(int.Parse)],
            Rates = [.. rates.Split(',').Select(rate => double.Parse(rate, System.Globalization.CultureInfo.InvariantCulture))],
        };
        var message = Assert.Throws<UserException>(() => pooling.Validated(RandomModels.Tiny.Vision, "test")).Message;
        Assert.Contains(why, message, StringComparison.Ordinal);
    }

    [Fact]
    public void PlansAreRefusedByATowerWithoutSeams()
    {
        using var model = Create(Config("drip", pooling => pooling));
        Assert.Contains("DRIP tower", Assert.Throws<UserException>(() => _ = model.Vision).Message, StringComparison.Ordinal);
        using var runner = new PlanRunner(model.ImageTower);
        GoldenTensors.AssertIdentical(model.ImageTower.Encode(_images), runner.Run(_images, EncoderPlan.Plain(0)));
    }

    [Fact]
    public void OrdersAreWalksThroughAllPatches()
    {
        foreach (var order in Enum.GetValues<PatchOrder>())
        {
            var walk = PatchOrders.Of(order, 8, 8);
            Assert.Equal(Enumerable.Range(0, 64).Select(patch => (long)patch), walk.Order());
            var steps = walk.Zip(walk.Skip(1), (from, to) => Math.Abs((from / 8) - (to / 8)) + Math.Abs((from % 8) - (to % 8)));
            Assert.Equal(order == PatchOrder.Raster, steps.Max() > 1);
            Assert.Equal(35, PatchOrders.Of(order, 5, 7).Distinct().Count());
        }
    }

    [Fact]
    public void ACopyWithPoolingKeepsTheWeights()
    {
        using var model = RandomModels.Create(RandomModels.Tiny);
        var config = new ClipTrainingConfig { TrainData = "shapes", BoundaryTower = "vit", BoundaryLayers = "2,2", BoundaryText = TextBoundaryKind.Gumbel, BoundaryTextLayers = "0,1,1" }
            .WithPooling(model.Config, keepDepth: true);
        using var pooled = PooledModels.Of(model, config, architecture => ClipInitialization.Draw(architecture, 1));
        Assert.All(model.Weights.Names, name => GoldenTensors.AssertIdentical(model.Weights[name], pooled.Weights[name]));
        Assert.Contains("boundary_predictor", string.Join(' ', pooled.Weights.Names), StringComparison.Ordinal);
        using var noGradient = torch.no_grad();
        Assert.Equal(model.ImageTower.Encode(_images).shape, pooled.ImageTower.Encode(_images).shape);
        var drip = new ClipTrainingConfig { TrainData = "shapes", BoundaryTower = "drip", BoundaryLayers = "2,2" }.WithPooling(model.Config, keepDepth: true);
        Assert.Contains("pool these with the tower 'vit'", Assert.Throws<UserException>(() => PooledModels.Of(model, drip, architecture => ClipInitialization.Draw(architecture, 1))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(12, "4, 8")]
    [InlineData(6, "2, 4")]
    [InlineData(4, "1, 3")]
    [InlineData(2, "1, 1")]
    public void StacksKeepTheirProportion(int depth, string stacks) => Assert.Equal(stacks, $"{PoolingStacks.Scaled([4, 8], depth)}");

    internal static ClipConfig Config(string tower, Func<TowerPooling, TowerPooling> change)
    {
        var entry = PooledTowers.All.Find(tower);
        var pooling = change(new TowerPooling { Tower = tower, Layers = entry.StacksFor(1) == 3 ? [1, 2, 1] : [2, 2], Rates = [0.4] });
        var vision = entry.Shape(RandomModels.Tiny.Vision with { Pooling = pooling });
        return RandomModels.Tiny with { Vision = vision, Text = null };
    }

    internal static ClipModel Create(ClipConfig config)
    {
        // Predictors have to tell patches apart, which those of small weights do not yet.
        var weights = ClipInitialization.Draw(config, 3);
        using var noGradient = torch.no_grad();
        foreach (var name in weights.Names.Where(name => name.Contains("boundary_predictor", StringComparison.Ordinal) || name.Contains("visual.bp", StringComparison.Ordinal)))
        {
            weights[name].mul_(name.EndsWith("weight", StringComparison.Ordinal) && weights[name].Dimensions == 2 ? 4 : 1);
        }

        return new(config, weights);
    }
}
