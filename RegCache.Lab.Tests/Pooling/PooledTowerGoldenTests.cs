using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Towers;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Tests.Pooling;

/// <summary>The released image towers, forwards and backwards, with given noise.</summary>
[Trait("Category", "Golden")]
public sealed class PooledTowerGoldenTests : IDisposable
{
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void TheFirstTowerReadsPooledTokensBack()
    {
        var golden = new PoolingGolden("drip_g1_upsample");
        var config = Config(golden, "dtp-vit", pooling => pooling with { OpenTail = true, AttendPadding = true, LossWeight = 0 });
        using var weights = Weights(golden);
        using var model = new ClipModel(config, weights);
        using var pass = Pass(golden);
        using var passed = Train(model, golden, pass);
        golden.AssertClose("out.embedding", passed.Features, PoolingGolden.Values);
        passed.Backward(golden["in.R"]);
        AssertGradients(golden, weights);
    }

    [Fact]
    public void TheSecondTowerHasAClassToken()
    {
        var golden = new PoolingGolden("drip_g2_cls");
        var config = Config(golden, "drip-cls", pooling => pooling with { OpenTail = true, AttendPadding = true, MeanOverPadding = true });
        using var weights = Weights(golden);
        using var model = new ClipModel(config, weights);
        using var pass = Pass(golden);
        using var passed = Train(model, golden, pass);
        AssertOutputs(golden, passed.Features, pass);
        golden.AssertClose("out.avg_boundaries", pass.Rate! * config.Vision.Patches, PoolingGolden.Values);
        golden.AssertClose(
            "out.boundary_loss_lower_bound_lambda1", BoundaryLosses.LowerBound(golden["out.hard"].to(torch.ScalarType.Float32), golden.Number("rate"), 1), PoolingGolden.Losses);
        passed.Backward(golden["in.R"]);
        AssertGradients(golden, weights);
    }

    [Theory]
    [InlineData("drip_g3_legacy", true)]
    [InlineData("drip_g3_diff", false)]
    public void DripWithItsQuirks(string name, bool isDetached)
    {
        var golden = new PoolingGolden(name);
        using var weights = Weights(new PoolingGolden("drip_g3_legacy"));
        using var model = new ClipModel(Config(golden, "drip", pooling => Legacy(pooling) with { DetachedPooling = isDetached }), weights);
        using var pass = Pass(golden);
        using var passed = Train(model, golden, pass);
        AssertOutputs(golden, passed.Features, pass);
        passed.Backward(golden["in.R"]);
        AssertGradients(golden, weights);
    }

    [Fact]
    public void TheMeanOverPooledTokensLeavesPaddingOut()
    {
        var golden = new PoolingGolden("drip_g3_legacy");
        using var weights = Weights(golden);
        using var model = new ClipModel(Config(golden, "drip", pooling => Legacy(pooling) with { MeanOverPadding = false }), weights);
        using var pass = Pass(golden);
        using var run = ((DripTower)model.ImageTower).Run(pass, (_, pooled) => golden.AssertClose("out.soft", pooled.Decision!.Soft, PoolingGolden.Values));
        var rows = run.Segments.SkipLast(1).Aggregate(golden["in.image"], (current, segment) => segment(current));
        golden.AssertClose("out.features", rows, PoolingGolden.Values);
        golden.AssertClose("spec.embedding_masked_mean", run.Segments[^1](rows), PoolingGolden.Values);
    }

    [Fact]
    public void FixedBoundariesNeedNoPredictor()
    {
        var golden = new PoolingGolden("drip_g3_legacy");
        using var weights = Weights(golden);
        using var model = new ClipModel(Config(golden, "drip", pooling => Legacy(pooling) with { Rule = "fixed" }), weights);
        golden.AssertClose("flop_mode.embedding", model.ImageTower.Encode(golden["in.image"]), PoolingGolden.Values);
    }

    [Fact]
    public void ABandOfRatesInPlaceOfThePrior()
    {
        var golden = new PoolingGolden("drip_s");
        var range = golden.Json("compression_range");
        using var weights = Weights(golden);
        using var model = new ClipModel(
            Config(golden, "drip", pooling => Legacy(pooling) with { Rule = "s-drip", Band = (range[0].GetDouble(), range[1].GetDouble()) }), weights);
        using var pass = Pass(golden);
        using var passed = Train(model, golden, pass);
        AssertOutputs(golden, passed.Features, pass);
    }

    [Fact]
    public void TwoPoolings()
    {
        var golden = new PoolingGolden("drip_h");
        var rates = golden.Json("rates");
        using var weights = Weights(golden);
        using var model = new ClipModel(
            Config(golden, "drip", pooling => Legacy(pooling) with { Rates = [rates[0].GetDouble(), rates[1].GetDouble()], PoolPadding = true }, stacks: 3), weights);
        using var pass = new PoolingPass((index, _, _) => golden[$"in.u{index + 1}"].alias());
        using var passed = Train(model, golden, pass);
        AssertOutputs(golden, passed.Features, pass);
    }

    [Fact]
    public void TheSameTowerWithoutPooling()
    {
        var golden = new PoolingGolden("xl_baseline");
        var config = Config(
            golden, "drip", pooling => pooling with { Rates = [], LegacyRelShift = true }, layers: [golden.Integer("depth")]);
        using var weights = Weights(golden);
        using var model = new ClipModel(config, weights);
        golden.AssertClose("out.embedding", model.ImageTower.Encode(golden["in.image"]), PoolingGolden.Values);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AStepOfClipAddsTheBoundariesLoss(bool checkpointing)
    {
        var golden = new PoolingGolden("clip_drip_step");
        var vision = Config(golden, "drip", pooling => Legacy(pooling) with { DetachedPooling = true });
        var config = vision with
        {
            EmbedDim = golden.Integer("embed_dim_joint"),
            Text = new()
            {
                ContextLength = golden.Integer("context_length"), VocabSize = golden.Integer("vocab"), Width = golden.Integer("text_width"),
                Heads = golden.Integer("text_heads"), Layers = golden.Integer("text_layers"), MlpRatio = golden.Number("text_mlp_ratio"),
            },
        };
        using var weights = golden.Weights();
        using var model = new ClipModel(config, weights);
        using var pass = Pass(golden);
        var passes = new TowerPasses(model, null, 0) { PoolingOfImages = (_, _) => pass };
        using var images = passes.Images(golden["in.image"], default, checkpointing);
        using var texts = passes.Texts(golden["in.text"], checkpointing);
        golden.AssertClose("out.image_features", images.Features, PoolingGolden.Values);
        golden.AssertClose("out.text_features", texts.Features, PoolingGolden.Values);
        golden.AssertClose("out.boundary_loss", pass.Loss!, PoolingGolden.Losses);
        var (imageLeaf, textLeaf) = (images.Features.detach().requires_grad_(), texts.Features.detach().requires_grad_());
        var loss = CaptionLoss.Of(imageLeaf, textLeaf.unsqueeze(0), model.LogitScale!.exp(), [1], 1);
        golden.AssertClose("out.contrastive_loss", loss.Total, PoolingGolden.Losses);
        golden.AssertClose("out.total", loss.Total + pass.Loss!, PoolingGolden.Losses);
        loss.Total.backward();
        images.Backward(imageLeaf.grad!);
        texts.Backward(textLeaf.grad!);
        foreach (var name in weights.Names.Where(name => golden.Has($"g.{name}")))
        {
            golden.AssertGradient($"g.{name}", weights[name]);
        }
    }

    private static void AssertOutputs(PoolingGolden golden, Tensor features, PoolingPass pass)
    {
        golden.AssertClose("out.embedding", features, PoolingGolden.Values);
        golden.AssertClose("out.boundary_loss", pass.Loss!, PoolingGolden.Losses);
        golden.AssertClose("out.boundary_ratio", pass.Rate!, PoolingGolden.Losses);
    }

    private static TowerPooling Legacy(TowerPooling pooling) => pooling with { OpenTail = true, MeanOverPadding = true, LegacyRelShift = true };

    // The files hold the tower alone, so its names get their prefix here.
    private static WeightTable Weights(PoolingGolden golden)
    {
        var tower = golden.Weights();
        return new("golden", tower.Names.Select(name => KeyValuePair.Create($"visual.{name}", tower[name])));
    }

    private static void AssertGradients(PoolingGolden golden, WeightTable weights)
    {
        foreach (var name in weights.Names.Where(name => golden.Has($"g.{name["visual.".Length..]}")))
        {
            golden.AssertGradient($"g.{name["visual.".Length..]}", weights[name]);
        }
    }

    private static PoolingPass Pass(PoolingGolden golden) => new((_, _, _) => golden["in.u"].alias());

    private static TowerPass Train(ClipModel model, PoolingGolden golden, PoolingPass pass) =>
        new TowerPasses(model, null, 0) { PoolingOfImages = (_, _) => pass }.Images(golden["in.image"], default, checkpointing: false, normalize: false);

    private static ClipConfig Config(
        PoolingGolden golden, string tower, Func<TowerPooling, TowerPooling> change, int stacks = 2, ValueList<int>? layers = null)
    {
        var size = golden.Integer("image_size");
        var count = tower == "dtp-vit" ? 3 : stacks;
        layers ??= [.. golden.Json("depth").EnumerateArray().Take(count).Select(blocks => blocks.GetInt32())];
        var pooling = change(new TowerPooling
        {
            Tower = tower, Layers = layers, Rates = [golden.Number("rate")], Temperature = golden.Number("temp"), Threshold = golden.Number("threshold"),
        });
        var vision = pooling.Entry.Shape(new VisionConfig
        {
            Layers = layers.Sum(), Width = golden.Integer("embed_dim"), HeadWidth = golden.Integer("embed_dim") / golden.Integer("num_heads"),
            MlpRatio = golden.Number("mlp_ratio"), PatchSize = golden.Integer("patch_size"), Channels = golden.Integer("in_chans"), ImageSize = (size, size),
            Pooling = pooling,
        });
        pooling.Validated(vision, "golden");
        return new() { EmbedDim = golden.Integer("num_classes"), Vision = vision };
    }
}
