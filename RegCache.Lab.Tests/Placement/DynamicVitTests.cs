using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Placement;

namespace RegCache.Lab.Tests.Placement;

/// <summary>What holds of every classifier with late tokens, whatever its weights.</summary>
public sealed class DynamicVitTests : IDisposable
{
    internal static readonly PlacementConfig Tiny = new()
    {
        ImageSize = (16, 24), PatchSize = (4, 4), Classes = 7, Width = 24, Depth = 4, Heads = 3, Registers = 2, ClassBlock = 2, RegisterBlock = 1,
    };

    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly Tensor _images = torch.randn(3, 3, 16, 24, generator: new torch.Generator(5));

    public static TheoryData<BlockKind> Kinds => [.. Enum.GetValues<BlockKind>()];

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void WithoutRegistersAndWithTheClassTokenFromTheStartItIsThePlainClassifierBitForBit()
    {
        using var model = Random(Tiny with { Registers = 0, ClassBlock = 0, RegisterBlock = 0, QkvBias = true });
        var plain = model.Weights.Names.ToDictionary(name => name, name => model.Weights[name]);
        plain[PlacementParameters.Positions] = torch.cat([torch.zeros(1, 1, 24), plain[PlacementParameters.Positions]], 1);
        using var classifier = VitClassifierLoader.FromTensors("plain", plain, new() { Heads = 3, ImageSize = (16, 24), Epsilon = model.Config.Epsilon });
        using var noGradient = torch.no_grad();
        GoldenTensors.AssertIdentical(classifier.Vision.Encode(_images), model.Forward(_images).Logits);
    }

    [Fact]
    public void TheOrderInWhichTokensEnterDoesNotMatter()
    {
        var stream = new TokenBatch(torch.randn(2, 6, 5), new(0, 0, 2, 3))
        {
            Sizes = torch.rand(2, 6, 1), Sources = torch.rand(2, 6, 6), Positions = torch.arange(6).expand(2, -1),
        };
        ITokenStage[] stages =
        [
            new EnterTokens(TokenRole.Class, torch.randn(1, 5)),
            new EnterTokens(TokenRole.Distillation, torch.randn(1, 5)),
            new EnterTokens(TokenRole.Register, torch.randn(3, 5)),
        ];
        var results = new[] { (0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0) }
            .Select(order => new[] { order.Item1, order.Item2, order.Item3 }.Aggregate(stream, (batch, stage) => stages[stage].Apply(batch, new(0))))
            .ToList();
        Assert.All(results, result =>
        {
            Assert.Equal(new TokenLayout(2, 3, 2, 3), result.Layout);
            foreach (var (expected, actual) in results[0].Tensors.Zip(result.Tensors))
            {
                GoldenTensors.AssertIdentical(expected, actual);
            }
        });
    }

    [Fact]
    public void WhatIsKnownOfTokensMovesOnWithThem()
    {
        var tokens = torch.randn(1, 4, 5);
        var stream = new TokenBatch(tokens, new(1, 0, 1, 5))
        {
            Sizes = torch.tensor(new float[] { 1, 2, 1, 2 }, [1, 4, 1]),
            Sources = torch.tensor(new float[] { 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1 }, [1, 4, 6]),
            Positions = torch.tensor(new long[] { 0, 1, 2, 5 }, [1, 4]),
        };
        var entered = new EnterTokens(TokenRole.Register, torch.ones(2, 5)).Apply(stream, new(0));
        Assert.Equal([0L, 1, 2, 3, 4, 7], entered.Positions!.data<long>().ToArray());
        Assert.Equal([1f, 1, 1, 2, 1, 2], entered.Sizes!.data<float>().ToArray());
        Assert.Equal([1, 6, 8], entered.Sources!.shape);
        Assert.True(entered.Sources!.sum(2, keepdim: true).eq(entered.Sizes!).all().item<bool>());
        Assert.True(entered.Sources![0].narrow(0, 1, 2).narrow(1, 1, 2).eq(torch.eye(2)).all().item<bool>());
        GoldenTensors.AssertIdentical(tokens[0, 3], entered.Tokens[0, 5]);
    }

    [Fact]
    public void BlocksBeforeAnEntrySeeFewerTokensAndTheAccountSaysSo()
    {
        using var model = Random(Tiny with { DistillationBlock = 3 });
        var plan = EncoderPlan.Plain(4);
        var table = MacsTable.Of(model.Tower, plan);
        int[] expected = [24, 26, 27, 28];
        Assert.Equal(expected.Select(tokens => (long)tokens), table.Rows.Where(row => row.Kind == MacsKind.Mlp).Select(row => row.Tokens));
        Assert.Equal(table.Rows, MacsTable.Of(model.Tower.Config, model.Tower.Features, plan).Rows);
        using var noGradient = torch.no_grad();
        using var runner = new PlanRunner(model.Tower);
        var lengths = new List<int>();
        runner.Forward(_images, plan, passed: (_, stream) => lengths.Add((int)stream.Length));
        Assert.Equal([24, .. expected], lengths);
        Assert.Equal(expected, Enumerable.Range(0, 4).Select(block => model.Tower.LayoutIn(block).ProtectedTokens + 24));
        var rows = ModelSummary.Of(model.Config).Tokens;
        Assert.Equal(expected, rows.Select(row => row.Class + row.Patches + row.Registers));
        Assert.Equal(table.Rows.Where(row => row.Block == 1).Sum(row => row.Macs), rows[1].Macs);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void RowsOfTheAttentionSumToOne(BlockKind kind)
    {
        using var model = Random(Tiny with { Block = kind });
        for (var layer = 0; layer < 4; layer++)
        {
            var sums = Activations.Of(model.Tower, _images, layer, ActivationKind.AttentionProbabilities).sum(-1);
            GoldenTensors.AssertClose(torch.ones_like(sums), sums, 1e-5);
        }
    }

    [Theory]
    [InlineData(4, WantedTokens.Both, "layer 4: the model has layers 0 to 3")]
    [InlineData(-1, WantedTokens.Class, "layer -1: the model has layers 0 to 3")]
    [InlineData(1, WantedTokens.Class, "layer 1 there is no class token: it enters before block 2")]
    [InlineData(0, WantedTokens.Registers, "layer 0 there are no registers: they enter before block 1")]
    public void ALayerWithoutTheTokenIsRefusedWithBothNumbers(int layer, WantedTokens wanted, string expected)
    {
        var error = Assert.Throws<UserException>(() => TokenMaps.Require(Tiny, layer, wanted));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OneKindOfTokenDoesNotAskForTheOther()
    {
        using var model = Random(Tiny);
        Assert.Equal(["Register 1", "Register 2"], TokenMaps.Measure(model, _images.narrow(0, 0, 1), 1, WantedTokens.Registers).Select(maps => maps.Name));
        Assert.Equal(["Class token", "Register 1", "Register 2"], TokenMaps.Measure(model, _images.narrow(0, 0, 1), 2).Select(maps => maps.Name));
        Assert.Throws<UserException>(() => TokenMaps.Require(Tiny with { Registers = 0 }, 2, WantedTokens.Registers));
        TokenMaps.Require(Tiny with { Registers = 0 }, 2, WantedTokens.Class);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void GradientsReachEveryParameterAndTheSameStreamDrawsTheSameNoise(BlockKind kind)
    {
        using var model = Random(Tiny with
        {
            Block = kind, QkvBias = true, DropRate = 0.2, AttentionDropRate = 0.2, DropPathRate = 0.2, DistillationBlock = 1, QkScale = 0.3,
        });
        foreach (var (_, parameter) in model.Weights.Parameters)
        {
            parameter.requires_grad = true;
        }

        var random = CounterRandom.Of(3, 0, 0);
        var (first, again, other) = (model.Forward(_images, random), model.Forward(_images, random), model.Forward(_images, random.Fork(1)));
        GoldenTensors.AssertIdentical(first.Logits, again.Logits);
        GoldenTensors.AssertIdentical(first.Distillation!, again.Distillation!);
        Assert.False(first.Logits.Equals(other.Logits));
        (first.Logits.square().sum() + first.Distillation!.square().sum() + other.Logits.square().sum()).backward();
        Assert.All(model.Weights.Parameters, pair => Assert.True(pair.Value.grad is { } gradient && gradient.abs().sum().item<float>() > 0, pair.Key));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void DroppedBranchesAddNothing(BlockKind kind)
    {
        using var model = Random(Tiny with { Block = kind, DropPathRate = 0.999999, Depth = 3 });
        var scores = model.Forward(_images, CounterRandom.Of(0, 0, 0)).Logits;
        var token = model.Tower.FinalNorm.Apply(model.Weights[PlacementParameters.ClassToken].flatten());
        var expected = torch.nn.functional.linear(token, model.Weights["head.weight"], model.Weights["head.bias"]).expand(3, -1);
        GoldenTensors.AssertClose(expected, scores, 1e-4);
    }

    [Fact]
    public void NoiseIsRightOnAverage()
    {
        using var model = Random(Tiny with { Depth = 1, ClassBlock = 0, RegisterBlock = 0, DropPathRate = 0.4, Block = BlockKind.Parallel, Classes = 0 });
        var plain = new TokenBatch(torch.randn(4000, 1, 24).narrow(0, 0, 1).expand(4000, -1, -1), new(1, 0, 1, 0));
        var layers = model.Tower.Blocks[0] with { Before = [], Mlp = new Silent() };
        var noise = new TrainingNoise(model.Config with { AttentionDropRate = 0 }, 4000, CounterRandom.Of(8, 0, 0));
        using var noGradient = torch.no_grad();
        var exact = TransformerBlock.Forward(plain, 0, layers, BlockPlan.Plain).Tokens[0];
        var disturbed = noise.Disturb(0, layers, layers);
        var mean = TransformerBlock.Forward(plain, 0, layers with { AttentionOut = disturbed.AttentionOut }, BlockPlan.Plain).Tokens.mean([0]);
        GoldenTensors.AssertClose(exact, mean, 0.1 * (exact - plain.Tokens[0]).abs().max().item<float>());
    }

    [Fact]
    public void EvaluationHasNoNoise()
    {
        using var quiet = Random(Tiny);
        using var noisy = new DynamicVit(Tiny with { DropRate = 0.5, AttentionDropRate = 0.5, DropPathRate = 0.5 }, Copy(quiet.Weights));
        using var noGradient = torch.no_grad();
        GoldenTensors.AssertIdentical(quiet.Forward(_images).Logits, noisy.Forward(_images).Logits);
        Assert.False(quiet.Forward(_images).Logits.Equals(noisy.Forward(_images, CounterRandom.Of(1, 0, 0)).Logits));
    }

    [Fact]
    public void AModelWithoutHeadGivesTheClassFeature()
    {
        using var model = Random(Tiny with { Classes = 0 });
        using var noGradient = torch.no_grad();
        GoldenTensors.AssertClose(model.Features(_images).Class, model.Forward(_images).Logits, 1e-6);
        Assert.Equal(24, model.Tower.Features);
    }

    [Theory]
    [InlineData("num_heads 5", "Heads")]
    [InlineData("patch_size 5", "Patch")]
    [InlineData("cls_pos must be a block from 0 to 3, not 4", "Class")]
    [InlineData("reg_pos must be a block from 0 to 3, not 9", "Register")]
    [InlineData("dist_pos must be a block from 0 to 3, not -1", "Distillation")]
    [InlineData("drop_path_rate must be at least 0 and below 1, not 1", "DropPath")]
    [InlineData("num_register_tokens must be at least 0, not -1", "Registers")]
    [InlineData("norm_eps must be above 0", "Epsilon")]
    public void ImpossibleConfigurationsAreRefusedInOneSentence(string expected, string what)
    {
        var config = what switch
        {
            "Heads" => Tiny with { Heads = 5 },
            "Patch" => Tiny with { PatchSize = (5, 4) },
            "Class" => Tiny with { ClassBlock = 4 },
            "Register" => Tiny with { RegisterBlock = 9 },
            "Distillation" => Tiny with { DistillationBlock = -1 },
            "DropPath" => Tiny with { DropPathRate = 1 },
            "Registers" => Tiny with { Registers = -1 },
            "Epsilon" => Tiny with { Epsilon = 0 },
            _ => throw new ArgumentOutOfRangeException(nameof(what)),
        };
        var error = Assert.Throws<UserException>(() => DynamicVit.Create(config, 0));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Equal(1, error.Message.Count(letter => letter == '.') - expected.Count(letter => letter == '.'));
        (Tiny with { Registers = 0, RegisterBlock = 99 }).Validated();
    }

    [Fact]
    public void ImagesOfAnotherSizeAreRefusedWithBothSizes()
    {
        using var model = Random(Tiny);
        var error = Assert.Throws<UserException>(() => model.Forward(torch.zeros(1, 3, 32, 32)));
        Assert.Contains("[B, 3, 16, 24], not [1, 3, 32, 32]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PatchesNeedNotBeSquareNorImagesInColour()
    {
        using var model = Random(Tiny with { PatchSize = (8, 4), Channels = 1 });
        using var noGradient = torch.no_grad();
        Assert.Equal([2, 7], model.Forward(torch.randn(2, 1, 16, 24)).Logits.shape);
        Assert.Equal(ModelSummary.Of(model.Config).Total, model.Weights.Elements);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void SummariesCountEveryParameterOnce(BlockKind kind)
    {
        var config = Tiny with { Block = kind, DistillationBlock = 0 };
        var summary = ModelSummary.Of(config);
        Assert.Equal(PlacementParameters.Count(config), summary.Total);
        Assert.Equal(summary.Total, summary.Trainable);
        Assert.Equal(16 * 24 * 3 * 4, summary.InputBytes);
        using var model = Random(config);
        model.Weights["head.weight"].requires_grad = true;
        Assert.Equal(7 * 24, ModelSummary.Of(config, model.Weights).Trainable);
    }

    [Fact]
    public void TokensPositionsAndVectorsDoNotDecay()
    {
        var parameters = PlacementParameters.Of(Tiny with { Block = BlockKind.ParallelLayerScale, DistillationBlock = 0, QkvBias = true }).ToList();
        var decaying = parameters.Where(parameter => PlacementParameters.Decays(parameter.Name, parameter.Shape.Length)).Select(parameter => parameter.Name).ToList();
        Assert.All(decaying, name => Assert.EndsWith(".weight", name, StringComparison.Ordinal));
        Assert.DoesNotContain(decaying, name => name.Contains("norm", StringComparison.Ordinal));
        Assert.Contains(PlacementParameters.PatchWeight, decaying);
        Assert.Equal(parameters.Count(parameter => parameter.Shape.Length > 1) - 4, decaying.Count);
    }

    internal static DynamicVit Random(PlacementConfig config, IBackend? backend = null)
    {
        // Its own generator: other tests draw from the default one at the same time.
        using var generator = new torch.Generator(7);
        return new(config, new("random weights", PlacementParameters.Of(config).Select(parameter =>
        {
            var isGain = parameter.Name.Contains("norm", StringComparison.Ordinal) && parameter.Name.EndsWith("weight", StringComparison.Ordinal);
            var values = torch.randn(parameter.Shape, generator: generator).mul_(0.2);
            return KeyValuePair.Create(parameter.Name, isGain ? values.add_(1) : values);
        })), backend);
    }

    internal static WeightTable Copy(WeightTable weights) =>
        new("copy", weights.Names.Select(name => KeyValuePair.Create(name, weights[name].detach().clone())));

    /// <summary>An MLP that adds nothing.</summary>
    private sealed class Silent : IMlp
    {
        public ILinear In => throw new NotSupportedException();

        public ILinear? Out => null;

        public bool IsRowwise => true;

        public IMlp With(ILinear into, ILinear? outOf) => this;

        public Tensor Apply(Tensor input, BlockProbe probe) => torch.zeros_like(input);
    }
}
