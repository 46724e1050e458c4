using System.Text.Json;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Language;

namespace RegCache.Lab.Tests.Pooling;

[Trait("Category", "Golden")]
public sealed class LanguageModelGoldenTests
{
    public static TheoryData<string> Types => [.. BoundaryTypes.All.Names];

    [Theory]
    [MemberData(nameof(Types))]
    public void ForwardBackwardAndContext(string type)
    {
        var golden = new PoolingGolden($"dtp_lm_{type}");
        using var model = Model(golden, legacyLoss: true);
        model.RequireGradients();
        using var output = model.Forward(Input(golden));
        golden.AssertClose("out.logits", output.Logits, PoolingGolden.Values);
        golden.AssertClose("out.loss", output.Loss!, PoolingGolden.Values);
        golden.AssertClose("out.loss_boundaries", output.BoundaryLoss, PoolingGolden.Losses);
        var total = output.Loss!.mean() + output.BoundaryLoss;
        golden.AssertClose("out.total", total, PoolingGolden.Losses);
        if (golden.Has("out.hard_boundaries"))
        {
            golden.AssertSame("out.hard_boundaries", output.Boundaries!);
            golden.AssertClose("out.soft_boundaries", output.Soft!, PoolingGolden.Values);
        }

        if (golden.Has("out.entropy"))
        {
            using var entropy = EntropySpikes.Entropy(output.Logits);
            golden.AssertClose("out.entropy", entropy, PoolingGolden.Values);
            golden.AssertSame("out.spikes", EntropySpikes.Find(entropy, golden.Integer("k")));
        }

        if (golden.Has("stat.shortened_length"))
        {
            Assert.Equal(golden["stat.shortened_length"].ToDouble(), output.PooledLength);
            Assert.Equal(golden["stat.p_ones"].ToDouble(), output.Boundaries!.to(torch.ScalarType.Float32).mean().ToDouble(), 1e-6);
        }

        if (golden.Has("stat.acc"))
        {
            var match = output.Match()!;
            Assert.Equal(golden["stat.acc"].ToDouble(), match.Accuracy, 1e-6);
            Assert.Equal(golden["stat.precision"].ToDouble(), match.Precision, 1e-6);
            Assert.Equal(golden["stat.recall"].ToDouble(), match.Recall, 1e-6);
        }

        total.backward();
        Assert.All(model.Weights.Parameters.Where(pair => golden.Has($"g.{pair.Key}")), pair => golden.AssertGradient($"g.{pair.Key}", pair.Value));
        Assert.Equal(golden.Names.Count(name => name.StartsWith("g.", StringComparison.Ordinal)), model.Weights.Names.Count(name => golden.Has($"g.{name}")));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void EvaluationScoresTheLastPositionsOnly(string type)
    {
        var golden = new PoolingGolden($"dtp_lm_{type}");
        using var noGradient = torch.no_grad();

        // The files took these numbers after the loss had been corrected.
        using var model = Model(golden, legacyLoss: false);
        var input = Input(golden);
        var context = golden.Integer("ext");
        using var output = model.Forward(input with { Target = input.Target!.narrow(0, context, input.Target.shape[0] - context) });
        golden.AssertClose("ctx.logits", output.Logits, PoolingGolden.Values);
        golden.AssertClose("ctx.loss", output.Loss!, PoolingGolden.Values);
        golden.AssertClose("ctx.loss_boundaries", output.BoundaryLoss, PoolingGolden.Losses);
        golden.AssertClose("ctx.bpc", output.Loss!.mean() / Math.Log(2), PoolingGolden.Losses);
    }

    [Theory]
    [InlineData("unigram")]
    [InlineData("entropy")]
    public void TheRightSupervisedLoss(string type)
    {
        var golden = new PoolingGolden($"dtp_lm_{type}");
        using var model = Model(golden, legacyLoss: false);
        model.RequireGradients();
        using var output = model.Forward(Input(golden));
        golden.AssertClose("fixed.loss_boundaries", output.BoundaryLoss, PoolingGolden.Losses);
        output.BoundaryLoss.backward();
        var names = golden.Names.Where(name => name.StartsWith("fixed.g.", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(names);

        // The files hold gradients of the whole objective where the stack has them; those of the predictor are the boundary loss's alone.
        Assert.All(names.Where(name => name.Contains("boundary_predictor", StringComparison.Ordinal)), name => golden.AssertGradient(name, model.Weights[name[8..]]));
    }

    [Fact]
    public void SpikesOfEntropyAreStrict()
    {
        var golden = new PoolingGolden("entropy_spikes");
        using var entropy = EntropySpikes.Entropy(golden["in.logits"]);
        golden.AssertClose("out.entropy", entropy, PoolingGolden.Values);
        foreach (var window in golden.Names.Where(name => name.StartsWith("out.spikes.k", StringComparison.Ordinal)).Select(name => int.Parse(name[12..])))
        {
            golden.AssertSame($"out.spikes.k{window}", EntropySpikes.Find(entropy, window));
            golden.AssertSame($"out.tie_spikes.k{window}", EntropySpikes.Find(golden["in.tie_entropy"], window));
        }
    }

    [Theory]
    [InlineData("none", 12, 0, 0, 41_009_179)]
    [InlineData("fixed", 2, 8, 2, 41_010_715)]
    [InlineData("whitespaces", 2, 8, 2, 41_010_715)]
    [InlineData("gumbel", 2, 8, 2, 42_063_388)]
    public void PublishedSizesHaveTheirParameters(string type, int before, int pooled, int after, long parameters) => Assert.Equal(
        parameters,
        new DynamicPoolingConfig { Vocabulary = 27, Boundaries = type, LayersBefore = before, LayersPooled = pooled, LayersAfter = after }.Parameters);

    [Fact]
    public void CostOfEveryTowerInBothCountings()
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Goldens.Path(PoolingGolden.Area, "flops.json")));
        foreach (var row in json.RootElement.EnumerateArray())
        {
            bool Is(string name) => row.GetProperty(name).GetBoolean();
            long Number(string name) => row.GetProperty(name).GetInt64();
            var model = row.GetProperty("model").GetString()!;
            var macs = model switch
            {
                "DRIP-XL" => PoolingMacs.PooledTower(
                    new(Number("patch"), Layers: Number("pre") + Number("post")), Number("pre"), row.GetProperty("rate").GetDouble(), Is("null"), 768,
                    Is("predictor_counted") ? MacsCounting.Complete : MacsCounting.Legacy),
                "DRIP-CLS" => PoolingMacs.PooledClassTower(
                    new(Number("patch"), Layers: Number("pre") + Number("post")),
                    Number("pre"),
                    row.GetProperty("simulated_boundaries").GetString() == "interval"
                        ? PoolingMacs.IntervalRows(new PooledTowerSize(Number("patch")).Patches, row.GetProperty("rate").GetDouble())
                        : PoolingMacs.Rows(new PooledTowerSize(Number("patch")).Patches, row.GetProperty("rate").GetDouble()),
                    512),
                _ => PoolingMacs.VisionTransformer(new(long.Parse(model[(model.LastIndexOf('-') + 1)..])), 512, Is("attention_counted") ? MacsCounting.Complete : MacsCounting.Legacy),
            };
            Assert.Equal((row.ToString(), Number("macs")), (row.ToString(), macs));
            Assert.Equal(row.GetProperty("gmacs_2dp").GetDouble(), Math.Round(macs / 1e9, 2));
        }
    }

    private static DynamicPoolingLm Model(PoolingGolden golden, bool legacyLoss)
    {
        int[] layers = [.. golden.Text("layers").Split(['[', ']', '(', ')', ',', ' '], StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];
        var config = new DynamicPoolingConfig
        {
            Vocabulary = golden.Integer("n_token"),
            Width = golden.Integer("d_model"),
            Heads = golden.Integer("n_head"),
            HeadWidth = golden.Integer("d_head"),
            Inner = golden.Integer("d_inner"),
            LayersBefore = layers[0],
            LayersPooled = layers[1],
            LayersAfter = layers[2],
            Boundaries = golden.Text("boundaries_type"),
            Temperature = golden.Number("temp"),
            Prior = golden.Number("prior"),
            SpikeWindow = golden.Integer("k"),
            LegacyBoundaryLoss = legacyLoss,
        };
        return new(config, golden.Weights());
    }

    private static LmInput Input(PoolingGolden golden) => new(golden["in.data"])
    {
        Target = golden["in.target"],
        Boundaries = golden.Has("in.boundaries_gt") ? golden["in.boundaries_gt"].to(torch.ScalarType.Bool) : null,
        Noise = golden.Has("in.u") ? golden["in.u"] : null,
    };
}
