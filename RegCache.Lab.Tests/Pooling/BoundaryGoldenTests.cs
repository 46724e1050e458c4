using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Pooling;

namespace RegCache.Lab.Tests.Pooling;

[Trait("Category", "Golden")]
public sealed class BoundaryGoldenTests
{
    private static readonly PoolingGolden _predictor = new("boundary_predictor");
    private static readonly PoolingGolden _priors = new("prior_losses");

    [Fact]
    public void TheGumbelSigmoidOfAPredictorAndItsGradients()
    {
        var weights = _predictor.Weights();
        var hidden = _predictor.Leaf("in.hidden");
        var scores = PoolingGolden.Predictor(weights).Score(hidden);
        _predictor.AssertClose("out.logits", scores.Logits, PoolingGolden.Values);
        _predictor.AssertClose("out.probs", scores.Probabilities, PoolingGolden.Values);

        var decision = BoundaryDecisions.Gumbel(scores.Logits, _predictor["in.u"], _predictor.Number("temp"), _predictor.Number("threshold"));
        _predictor.AssertClose("gumbel.soft", decision.Soft, PoolingGolden.Values);
        _predictor.AssertSame("gumbel.hard", decision.Hard);
        var values = decision.StraightThrough();
        _predictor.AssertSame("gumbel.hard", values);

        var loss = BoundaryLosses.Binomial(values, _predictor.Number("prior"));
        _predictor.AssertClose("gumbel.loss", loss, PoolingGolden.Losses);
        ((values * _predictor["in.R"]).sum() + loss).backward();
        AssertGradients("gumbel", weights, hidden);

        var match = BoundaryMatch.Of(decision.Hard, _predictor["in.gt"]);
        Assert.Equal(_predictor["gumbel.stat.acc"].ToDouble(), match.Accuracy, 1e-6);
        Assert.Equal(_predictor["gumbel.stat.precision"].ToDouble(), match.Precision, 1e-6);
        Assert.Equal(_predictor["gumbel.stat.recall"].ToDouble(), match.Recall, 1e-6);
    }

    [Theory]
    [InlineData("sup_fixed", false)]
    [InlineData("sup_legacy", true)]
    public void TheSupervisedLosses(string name, bool legacy)
    {
        var weights = _predictor.Weights();
        var hidden = _predictor.Leaf("in.hidden");
        var scores = PoolingGolden.Predictor(weights).Score(hidden);
        var decision = BoundaryDecisions.Threshold(scores.Probabilities, _predictor.Number("threshold"));
        _predictor.AssertClose($"{name}.soft", decision.Soft, PoolingGolden.Values);
        _predictor.AssertSame($"{name}.hard", decision.Hard);
        var loss = BoundaryLosses.Supervised(scores, _predictor["in.gt"], legacy);
        _predictor.AssertClose($"{name}.loss", loss, PoolingGolden.Losses);
        loss.backward();
        AssertGradients(name, weights, hidden);
    }

    public static TheoryData<string> Priors => [.. _priors.Names.Where(name => name.EndsWith(".loss", StringComparison.Ordinal)).Select(name => name[..^5])];

    [Theory]
    [MemberData(nameof(Priors))]
    public void LossesOfTheRateAndTheirGradients(string name)
    {
        // binomial.RATE, lower_bound.RATE.DEVIATIONS, soft_range.LOW.HIGH; every number has one dot inside.
        var kind = name[..name.IndexOf('.', StringComparison.Ordinal)];
        var parts = name[(kind.Length + 1)..].Split('.');
        double[] numbers = [.. parts.Chunk(2).Select(pair => double.Parse(string.Join('.', pair), CultureInfo.InvariantCulture))];
        var hard = _priors.Leaf("in.hard");
        var loss = kind switch
        {
            "binomial" => BoundaryLosses.Binomial(hard, numbers[0]),
            "lower_bound" => BoundaryLosses.LowerBound(hard, numbers[0], numbers[1]),
            "soft_range" => BoundaryLosses.Range(hard, numbers[0], numbers[1]),
            _ => throw new InvalidDataException(name),
        };
        _priors.AssertClose($"{name}.loss", loss, PoolingGolden.Losses);
        loss.backward();
        _priors.AssertGradient($"{name}.g", hard);
    }

    private static void AssertGradients(string name, WeightTable weights, Tensor hidden)
    {
        _predictor.AssertGradient($"{name}.g.hidden", hidden);
        foreach (var (parameter, tensor) in weights.Parameters)
        {
            _predictor.AssertGradient($"{name}.g.{parameter}", tensor);
        }
    }
}
