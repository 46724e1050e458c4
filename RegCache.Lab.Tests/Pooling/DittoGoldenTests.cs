using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Pooling;

namespace RegCache.Lab.Tests.Pooling;

[Trait("Category", "Golden")]
public sealed class DittoGoldenTests
{
    private static readonly PoolingGolden _golden = new("ditto");
    private static readonly PoolingRule _ditto = PoolingRules.All.Find("ditto");
    private static readonly PoolingRule _router = PoolingRules.All.Find("router");

    public static TheoryData<string> Pools => [.. _golden.Names.Where(name => name.StartsWith("pool.", StringComparison.Ordinal) && name.EndsWith(".R", StringComparison.Ordinal)).Select(name => name[5..^2])];

    public static TheoryData<string> Stages => [.. _golden.Names.Where(name => name.StartsWith("stage.", StringComparison.Ordinal) && name.EndsWith(".in.hidden", StringComparison.Ordinal)).Select(name => name[..^10])];

    public static TheoryData<string> TopKs => [.. _golden.Names.Where(name => name.StartsWith("topk.", StringComparison.Ordinal) && name.EndsWith(".k", StringComparison.Ordinal)).Select(name => name[5..^2])];

    public static TheoryData<string> Spreads => [.. _golden.Names.Where(name => name.StartsWith("fixed.", StringComparison.Ordinal)).Select(name => name[6..^10])];

    public static TheoryData<string> Priors => [.. _golden.Names.Where(name => name.StartsWith("prior.", StringComparison.Ordinal) && name.EndsWith(".loss", StringComparison.Ordinal)).Select(name => name[6..^5])];

    public static TheoryData<string> Ratios => [.. _golden.Names.Where(name => name.StartsWith("route.", StringComparison.Ordinal) && name.EndsWith(".loss", StringComparison.Ordinal)).Select(name => name[6..^5])];

    [Theory]
    [MemberData(nameof(Pools))]
    public void EveryPatternIsPooledWithItsLocalGradient(string tag)
    {
        var rule = tag.EndsWith(".lead", StringComparison.Ordinal) ? _router : _ditto;
        var hidden = _golden.Leaf("pool.hidden");
        var values = _golden.Leaf($"pool.{tag[..tag.LastIndexOf('.')]}.boundaries");
        var segments = Segments.Of(rule.Force(values.detach().greater(0.5)), rule.Mode);
        var rows = SegmentPooling.Mean(hidden, rule.Force(values), segments, BoundaryGradients.Left);
        _golden.AssertClose($"pool.{tag}.out", rows, PoolingGolden.Values);
        _golden.AssertSame($"pool.{tag}.valid", segments.Valid);
        _golden.AssertSame($"pool.{tag}.segment", segments.Index.transpose(0, 1));
        (rows * _golden[$"pool.{tag}.R"]).sum().backward();
        _golden.AssertGradient($"pool.{tag}.g.hidden", hidden);
        _golden.AssertGradient($"pool.{tag}.g.boundaries", values);
    }

    [Fact]
    public void OneTokenIsItsOwnSegment()
    {
        var hidden = _golden["pool.single.hidden"];
        var segments = Segments.Of(_ditto.Force(torch.zeros([hidden.shape[1], 1], torch.ScalarType.Bool)));
        _golden.AssertClose("pool.single.out", SegmentPooling.Mean(hidden, null, segments, BoundaryGradients.Left), PoolingGolden.Values);
    }

    [Theory]
    [MemberData(nameof(Stages))]
    public void TheWholeStageInTraining(string tag)
    {
        var settings = _golden.Json(tag);
        var options = new PoolingOptions
        {
            Rate = settings.GetProperty("rate").GetDouble(),
            Temperature = settings.GetProperty("temperature").GetDouble(),
            Threshold = settings.GetProperty("threshold").GetDouble(),
        };
        foreach (var isTaskAlone in new[] { false, true })
        {
            var weights = _golden.Weights($"{tag}.w.");
            var hidden = _golden.Leaf($"{tag}.in.hidden");
            var predictor = PoolingGolden.Predictor(weights);
            var pooled = _ditto.Apply(hidden, predictor, options, training: true, _golden[$"{tag}.in.u"]);
            _golden.AssertClose($"{tag}.out.logits", pooled.Scores!.Logits, PoolingGolden.Values);
            _golden.AssertClose($"{tag}.out.probs", pooled.Scores.Probabilities, PoolingGolden.Values);
            _golden.AssertClose($"{tag}.out.soft", pooled.Decision!.Soft, PoolingGolden.Values);
            _golden.AssertSame($"{tag}.out.hard", pooled.Decision.Hard);
            _golden.AssertSame($"{tag}.out.hard_forced", pooled.Segments.Boundaries);
            _golden.AssertClose($"{tag}.out.pooled", pooled.Rows, PoolingGolden.Values);
            _golden.AssertSame($"{tag}.out.valid", pooled.Segments.Valid);
            _golden.AssertClose($"{tag}.out.loss", pooled.Loss, PoolingGolden.Losses);
            _golden.AssertClose($"{tag}.out.rate", pooled.Rate, PoolingGolden.Losses);

            var task = (pooled.Rows * _golden[$"{tag}.in.R"]).sum();
            if (isTaskAlone)
            {
                // The gradient of soft boundaries is that of the straight-through values.
                using var byValues = torch.autograd.grad([task], [pooled.Decision.Soft])[0];
                _golden.AssertClose($"{tag}.task.g.boundaries", byValues, PoolingGolden.Gradients);
                continue;
            }

            var total = task + (pooled.Loss * settings.GetProperty("loss_weight").GetDouble());
            _golden.AssertClose($"{tag}.g.boundaries", torch.autograd.grad([total], [pooled.Decision.Soft], retain_graph: true)[0], PoolingGolden.Gradients);
            total.backward();
            _golden.AssertGradient($"{tag}.g.hidden", hidden);
            Assert.All(weights.Parameters, pair => _golden.AssertGradient($"{tag}.g.{pair.Key}", pair.Value));
        }
    }

    [Theory]
    [MemberData(nameof(TopKs))]
    public void EvaluationTakesTheMostProbablePositions(string tag)
    {
        var (length, rate) = Split(tag);
        var decision = BoundaryDecisions.TopK(_golden[$"topk.{length}.logits"].sigmoid(), rate);
        Assert.Equal(_golden[$"topk.{tag}.k"].item<long>(), BoundaryDecisions.Count(length, rate));
        _golden.AssertSame($"topk.{tag}.hard", decision.Hard);
        _golden.AssertSame($"topk.{tag}.hard_forced", _ditto.Force(decision.Hard));
    }

    [Theory]
    [InlineData("trail", BoundaryMode.Closes)]
    [InlineData("lead", BoundaryMode.Opens)]
    public void PooledRowsAreReadBack(string mode, BoundaryMode what)
    {
        var rule = what == BoundaryMode.Closes ? _ditto : _router;
        var values = _golden.Leaf("up.boundaries");
        var rows = _golden.Leaf($"up.{mode}.in");
        var segments = Segments.Of(rule.Force(values.detach().greater(0.5)), what);
        var read = SegmentPooling.UpForced(rows, rule.Force(values), segments);
        _golden.AssertClose($"up.{mode}.out", read, PoolingGolden.Values);
        (read * _golden[$"up.{mode}.R"]).sum().backward();
        _golden.AssertGradient($"up.{mode}.g.in", rows);
        _golden.AssertGradient($"up.{mode}.g.boundaries", values);
    }

    [Theory]
    [InlineData("max")]
    [InlineData("mean")]
    public void GroupsOfPatchesAreScoredTogether(string how)
    {
        const int Group = 4;
        var scores = BoundaryDecisions.OfGroups(_golden["mega.soft"], Group, how == "max");
        _golden.AssertClose($"mega.{how}.scores", scores, PoolingGolden.Values);
        foreach (var name in _golden.Names.Where(name => name.StartsWith($"mega.{how}.", StringComparison.Ordinal) && name.EndsWith(".boundaries", StringComparison.Ordinal)))
        {
            var rate = double.Parse(name[$"mega.{how}.".Length..^".boundaries".Length], CultureInfo.InvariantCulture);
            _golden.AssertSame(name, _ditto.Force(BoundaryDecisions.TopK(scores, rate).Hard));
        }
    }

    [Theory]
    [MemberData(nameof(Spreads))]
    public void FixedPositionsAreSpreadAsLinspaceDoes(string tag)
    {
        var (length, rate) = Split(tag);
        Assert.Equal(_golden[$"fixed.{tag}.positions"].data<long>().ToArray(), BoundaryDecisions.Spread(length, rate, closeTail: false));
    }

    [Theory]
    [MemberData(nameof(Priors))]
    public void ThePriorCountsTheForcedBoundaryAndGivesItNoGradient(string rate)
    {
        var hard = _golden.Leaf("prior.hard");
        var loss = BoundaryLosses.Binomial(_ditto.Force(hard), double.Parse(rate, CultureInfo.InvariantCulture));
        _golden.AssertClose($"prior.{rate}.loss", loss, PoolingGolden.Losses);
        loss.backward();
        _golden.AssertGradient($"prior.{rate}.g", hard);
    }

    [Fact]
    public void NeighboursAreComparedWithNoise()
    {
        var settings = _golden.Json("hnet");
        var rate = settings.GetProperty("rate").GetDouble();
        var weights = _golden.Weights("hnet.w.");
        var hidden = _golden.Leaf("hnet.in.hidden");
        var predictor = Cosine(weights, BoundaryMode.Closes, settings.GetProperty("norm_eps").GetDouble());
        var scores = predictor.Score(hidden);
        _golden.AssertClose("hnet.out.keep_prob", scores.Probabilities, PoolingGolden.Values);
        var decision = BoundaryDecisions.Gumbel(
            scores.Logits, _golden["hnet.in.u"], settings.GetProperty("temperature").GetDouble(), settings.GetProperty("threshold").GetDouble());
        _golden.AssertClose("hnet.out.soft", decision.Soft, PoolingGolden.Values);
        _golden.AssertSame("hnet.out.hard", decision.Hard);
        var values = decision.StraightThrough();
        var forced = _ditto.Force(values);
        _golden.AssertSame("hnet.out.hard_forced", forced);
        var segments = Segments.Of(forced.detach().greater(0.5));
        _golden.AssertClose("hnet.out.pooled", SegmentPooling.Mean(hidden.detach(), null, segments, BoundaryGradients.Left), PoolingGolden.Values);
        _golden.AssertSame("hnet.out.valid", segments.Valid);
        var loss = BoundaryLosses.Binomial(forced, rate);
        _golden.AssertClose("hnet.out.loss", loss, PoolingGolden.Losses);
        ((values * _golden["hnet.in.R"]).sum() + loss).backward();
        _golden.AssertGradient("hnet.g.hidden", hidden);
        Assert.All(weights.Parameters, pair => _golden.AssertGradient($"hnet.g.{pair.Key}", pair.Value));
    }

    [Fact]
    public void EqualOppositeOrthogonalScaledAndZeroVectors()
    {
        var hidden = _golden["hnet.edge.hidden"];
        var identity = new Linear(torch.eye(hidden.shape[^1]), null);
        var scores = new CosineBoundaryPredictor(identity, identity, BoundaryMode.Closes, _golden.Json("hnet").GetProperty("norm_eps").GetDouble()).Score(hidden);
        _golden.AssertClose("hnet.edge.keep_prob", scores.Probabilities, PoolingGolden.Values);
    }

    [Fact]
    public void TheRouterOpensSegments()
    {
        var predictor = Cosine(_golden.Weights("route.w."), BoundaryMode.Opens, _golden.Json("route").GetProperty("norm_eps").GetDouble());
        var hidden = _golden["route.in.hidden"];
        var pooled = _router.Apply(hidden, predictor, new(), training: false);
        _golden.AssertClose("route.out.keep_prob", pooled.Scores!.Probabilities, PoolingGolden.Values);
        _golden.AssertSame("route.out.mask", pooled.Decision!.Hard);
        _golden.AssertClose("route.out.pooled_lead", pooled.Rows, PoolingGolden.Values);
        var closing = Segments.Of(_ditto.Force(pooled.Decision.Hard));
        _golden.AssertClose("route.out.pooled_trail", SegmentPooling.Mean(hidden, null, closing, BoundaryGradients.Left), PoolingGolden.Values);
    }

    [Theory]
    [MemberData(nameof(Ratios))]
    public void TheRatioLossOfEverySampleAndOfTheBatch(string tag)
    {
        var rate = double.Parse(tag[..tag.LastIndexOf('.')], CultureInfo.InvariantCulture);
        var perSample = tag.EndsWith(".each", StringComparison.Ordinal);
        var weights = _golden.Weights("route.w.");
        var hidden = _golden.Leaf("route.in.hidden");
        var scores = Cosine(weights, BoundaryMode.Opens, _golden.Json("route").GetProperty("norm_eps").GetDouble()).Score(hidden);
        var hard = BoundaryDecisions.Threshold(scores.Probabilities, inclusive: true).Hard;
        var loss = BoundaryLosses.Ratio(hard, scores.Probabilities, perSample ? Math.Floor(1 / rate) : 1 / rate, perSample);
        _golden.AssertClose($"route.{tag}.loss", loss, PoolingGolden.Losses);

        // The forced position is a constant.
        using var byProbability = torch.autograd.grad([loss], [scores.Probabilities], retain_graph: true)[0];
        _golden.AssertClose($"route.{tag}.g.keep_prob", byProbability * torch.arange(hard.shape[1]).greater(0), PoolingGolden.Gradients);
        loss.backward();
        _golden.AssertGradient($"route.{tag}.g.hidden", hidden);
        Assert.All(weights.Parameters, pair => _golden.AssertGradient($"route.{tag}.g.{pair.Key}", pair.Value));
    }

    private static CosineBoundaryPredictor Cosine(WeightTable weights, BoundaryMode mode, double epsilon)
    {
        Linear Take(string name) => new(weights[$"{name}_proj_layer.weight"], null);
        return new(Take("q"), Take("k"), mode, epsilon);
    }

    private static (long Length, double Rate) Split(string tag)
    {
        var length = tag[..tag.IndexOf('.', StringComparison.Ordinal)];
        return (long.Parse(length, CultureInfo.InvariantCulture), double.Parse(tag[(length.Length + 1)..], CultureInfo.InvariantCulture));
    }
}
