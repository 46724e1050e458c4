using RegCache.Lab.Encoders;
using RegCache.Lab.Pooling;

namespace RegCache.Lab.Tests.Pooling;

public sealed class PoolingPropertyTests
{
    private const int Tokens = 14, Batch = 3, Width = 5;

    public PoolingPropertyTests() => torch.random.manual_seed(3);

    [Fact]
    public void WithABoundaryAtEveryTokenPoolingChangesNothing()
    {
        var hidden = torch.randn(Tokens, Batch, Width);
        var segments = Segments.Of(torch.ones([Batch, Tokens], torch.ScalarType.Bool));
        GoldenTensors.AssertIdentical(hidden, SegmentPooling.Mean(hidden, null, segments, BoundaryGradients.Suffix));
        var pooled = SegmentPooling.Down(hidden, null, segments, torch.randn(1, 1, Width));
        GoldenTensors.AssertIdentical(hidden, SegmentPooling.Up(pooled, segments));
    }

    [Fact]
    public void WithoutBoundariesEveryTokenReadsTheNullRow()
    {
        var nullRow = torch.randn(1, 1, Width);
        var segments = Segments.Of(torch.zeros([Batch, Tokens], torch.ScalarType.Bool));
        var pooled = SegmentPooling.Down(torch.randn(Tokens, Batch, Width), null, segments, nullRow);
        Assert.Equal([1, Batch, Width], pooled.shape);
        GoldenTensors.AssertIdentical(nullRow.expand(Tokens, Batch, Width), SegmentPooling.Up(pooled, segments));
    }

    [Theory]
    [InlineData(BoundaryMode.Closes)]
    [InlineData(BoundaryMode.Opens)]
    public void TheBackwardPassIsThatOfADenseReference(BoundaryMode mode)
    {
        var rule = PoolingRules.All.First(rule => rule.Mode == mode && rule.Forces);
        var marks = rule.Force(torch.rand(Batch, Tokens).greater(0.6));
        var segments = Segments.Of(marks, mode);
        var (hidden, dense) = (torch.randn(Tokens, Batch, Width).requires_grad_(), torch.zeros(0));
        var cotangent = torch.randn(segments.Length, Batch, Width);
        (SegmentPooling.Mean(hidden, null, segments, BoundaryGradients.Left) * cotangent).sum().backward();

        var copy = hidden.detach().clone().requires_grad_();
        var membership = torch.nn.functional.one_hot(segments.Index.transpose(0, 1), segments.Length).to(torch.ScalarType.Float32);
        dense = torch.einsum("bts,tbc->sbc", membership / membership.sum([1], keepdim: true).clamp(min: 1), copy);
        GoldenTensors.AssertClose(dense.detach(), SegmentPooling.Mean(hidden.detach(), null, segments, BoundaryGradients.Left), 1e-6);
        (dense * cotangent).sum().backward();
        GoldenTensors.AssertClose(copy.grad!, hidden.grad!, 1e-6);
    }

    [Fact]
    public void SwitchingABoundaryIsWhatItsGradientByStateSays()
    {
        // Within one segment's means held fixed, moving one token changes sum(R row) by the difference of its two shares.
        var marks = PoolingRules.All.Find("ditto").Force(torch.rand(1, Tokens).greater(0.5));
        var values = marks.to(torch.ScalarType.Float32).requires_grad_();
        var segments = Segments.Of(marks);
        var hidden = torch.randn(Tokens, 1, Width);
        var cotangent = torch.randn(segments.Length, 1, Width);
        (SegmentPooling.Mean(hidden, values, segments, BoundaryGradients.ByState) * cotangent).sum().backward();
        var (index, sizes) = (segments.Index.flatten().data<long>().ToArray(), segments.Sizes.flatten().data<long>().ToArray());
        for (var boundary = 0; boundary < Tokens - 1; boundary++)
        {
            var token = boundary + 1;
            double Share(long row) => row < 0 || row >= segments.Length ? 0 : (hidden[token, 0] * cotangent[row, 0]).sum().ToDouble() / sizes[row];
            var own = index[token];
            var expected = marks[0, boundary].item<bool>() ? Share(own) - Share(own - 1) : Share(own + 1) - Share(own);
            Assert.Equal(expected, values.grad![0, boundary].ToDouble(), 1e-5);
        }

        Assert.Equal(0, values.grad![0, Tokens - 1].ToDouble());
    }

    [Fact]
    public void SamplesDoNotKnowEachOther()
    {
        var rule = PoolingRules.All.Find("ditto");
        var weights = Predictor();
        var (hidden, noise) = (torch.randn(Tokens, Batch, Width), torch.rand(Batch, Tokens));
        var together = Pool(hidden, noise);
        for (var sample = 0; sample < Batch; sample++)
        {
            var alone = Pool(hidden.narrow(1, sample, 1), noise.narrow(0, sample, 1));
            var rows = alone.Rows.shape[0];
            GoldenTensors.AssertClose(alone.Rows, together.Rows.narrow(1, sample, 1).narrow(0, 0, rows), 1e-6);
            GoldenTensors.AssertClose(alone.Gradient, together.Gradient.narrow(1, sample, 1), 1e-6);
        }

        (Tensor Rows, Tensor Gradient) Pool(Tensor tokens, Tensor uniform)
        {
            var input = tokens.detach().clone().requires_grad_();
            var pooled = rule.Apply(input, weights, new(), training: true, uniform);
            (pooled.Rows.square().sum() + (pooled.Loss * tokens.shape[1])).backward();
            return (pooled.Rows.detach(), input.grad!);
        }
    }

    [Theory]
    [InlineData(torch.ScalarType.BFloat16, 2e-2)]
    [InlineData(torch.ScalarType.Float16, 2e-3)]
    public void IndicesAreExactInLowPrecision(torch.ScalarType type, double tolerance)
    {
        var marks = torch.arange(1200).remainder(2).eq(1).unsqueeze(0);
        var segments = Segments.Of(marks);
        Assert.Equal(600, segments.Length);
        Assert.True(segments.Sizes.eq(2).all().item<bool>());
        var hidden = torch.randn(1200, 1, 4);
        var low = SegmentPooling.Mean(hidden.to(type), null, segments, BoundaryGradients.Left);
        Assert.Equal(type, low.dtype);
        GoldenTensors.AssertClose(SegmentPooling.Mean(hidden, null, segments, BoundaryGradients.Left), low, tolerance, tolerance);
    }

    [Theory]
    [InlineData(10, 0.25, 2)]
    [InlineData(14, 0.25, 4)]
    [InlineData(10, 0.01, 1)]
    public void TopKRoundsHalvesToEvenAndBreaksTiesByPlace(int length, double rate, int count)
    {
        var ties = torch.full([1, length], 0.5f);
        var chosen = BoundaryDecisions.TopK(ties, rate).Hard;
        Assert.Equal(Enumerable.Range(0, length).Select(index => index < count), chosen[0].data<bool>().ToArray());
        var exact = BoundaryDecisions.TopK(ties, rate, exactBudget: true).Hard;
        Assert.Equal(count, exact.sum().item<long>());
        Assert.True(exact[0, length - 1].item<bool>());
    }

    [Theory]
    [InlineData(0.2)]
    [InlineData(0.37)]
    [InlineData(0.5)]
    public void ThePriorIsLeastAtTheRate(double rate)
    {
        const int length = 40;
        var losses = Enumerable.Range(0, length + 1).Select(count => BoundaryLosses.Binomial(Marks(count, length), rate).ToDouble()).ToArray();
        Assert.Equal((int)Math.Floor((length + 1) * rate), Array.IndexOf(losses, losses.Min()));
    }

    [Fact]
    public void ThePriorsGradientIsItsFiniteDifference()
    {
        // Fractional counts are between two whole ones, where the loss is defined as well.
        var hard = torch.rand(2, 30).requires_grad_();
        BoundaryLosses.Binomial(hard, 0.3).backward();
        var step = torch.full([2, 30], 1f / 30);
        var up = BoundaryLosses.Binomial(hard.detach() + step, 0.3).ToDouble();
        var down = BoundaryLosses.Binomial(hard.detach() - step, 0.3).ToDouble();
        Assert.Equal((up - down) / 2, (hard.grad! * step).sum().ToDouble(), 2e-4);
    }

    [Fact]
    public void TheRatioLossIsOneAtTheTarget()
    {
        var probabilities = torch.full([2, 8], 0.25f).requires_grad_();
        var loss = BoundaryLosses.Ratio(Marks(2, 8).expand(2, 8), probabilities, 4, perSample: true);
        Assert.Equal(1, loss.ToDouble(), 1e-6);
        loss.backward();
        Assert.True(probabilities.grad!.abs().max().ToDouble() < 1e-6);
    }

    [Fact]
    public void BothDirectionsOfAttentionAreThoseOfTheEquation()
    {
        var (heads, batch, length, width) = (2, 2, 6, 4);
        var (content, position, keys) = (torch.randn(heads, batch, length, width).requires_grad_(), torch.randn(heads, batch, length, width).requires_grad_(), torch.randn(heads, batch, length, width).requires_grad_());
        var distances = torch.randn(heads, (2 * length) - 1, width).requires_grad_();
        Tensor[] leaves = [content, position, keys, distances];
        var cotangent = torch.randn(heads, batch, length, length);
        var fast = RelativeScores.Of(content, position, keys, distances, RelativeDirection.Bidirectional);
        var fastGradients = torch.autograd.grad([fast], leaves, [cotangent]);

        // Distance i - j is column length - 1 - (i - j).
        var columns = torch.arange(length).unsqueeze(0) - torch.arange(length).unsqueeze(1) + (length - 1);
        var plain = content.matmul(keys.transpose(-2, -1))
            + torch.einsum("hbid,hijd->hbij", position, distances.index_select(1, columns.flatten()).view(heads, length, length, width));
        GoldenTensors.AssertClose(plain.detach(), fast.detach(), 1e-5);
        foreach (var (expected, actual) in torch.autograd.grad([plain], leaves, [cotangent]).Zip(fastGradients))
        {
            GoldenTensors.AssertClose(expected, actual, 1e-5);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(double.NaN)]
    [InlineData(-0.2)]
    public void ImpossibleRatesAreRefused(double rate)
    {
        Assert.Contains("boundary rate", Assert.Throws<UserException>(() => BoundaryLosses.Binomial(Marks(1, 4), rate)).Message, StringComparison.Ordinal);
        Assert.Throws<UserException>(() => new PoolingOptions { Rate = rate }.Validated());
    }

    [Fact]
    public void SwappedBoundsAreRefused() =>
        Assert.Contains("lower bound must come first", Assert.Throws<UserException>(() => BoundaryLosses.Range(Marks(1, 4), 0.3, 0.2)).Message, StringComparison.Ordinal);

    [Fact]
    public void NoiseIsAFunctionOfSeedAndStep()
    {
        GoldenTensors.AssertIdentical(BoundaryNoise.Draw(1, 2, 3, 4), BoundaryNoise.Draw(1, 2, 3, 4));
        Assert.False(BoundaryNoise.Draw(1, 2, 3, 4).allclose(BoundaryNoise.Draw(1, 3, 3, 4)));
    }

    [Fact]
    public void EveryRulePoolsWithAnEvaluationThatDrawsNothing()
    {
        var hidden = torch.randn(Tokens, Batch, Width);
        foreach (var rule in PoolingRules.All)
        {
            GoldenTensors.AssertIdentical(
                rule.Apply(hidden, Predictor(), new(), training: false).Rows, rule.Apply(hidden, Predictor(), new(), training: false, torch.rand(Batch, Tokens)).Rows, rule.Name);
        }
    }

    private static MlpBoundaryPredictor Predictor()
    {
        using var generator = new torch.Generator(5);
        return new(new Linear(torch.randn([8, Width], generator: generator), torch.zeros(8)), new Linear(torch.randn([1, 8], generator: generator), torch.zeros(1)));
    }

    private static Tensor Marks(int count, int length) => torch.arange(length).less(count).to(torch.ScalarType.Float32).unsqueeze(0);
}
