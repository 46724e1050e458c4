using RegCache.Lab.Pooling;

namespace RegCache.Lab.Tests.Pooling;

[Trait("Category", "Golden")]
public sealed class ShorteningGoldenTests
{
    private static readonly PoolingGolden _golden = new("shortening");

    public static TheoryData<string> Patterns => [.. _golden.Names.Where(name => name.EndsWith(".down", StringComparison.Ordinal)).Select(name => name[..^5])];

    [Theory]
    [MemberData(nameof(Patterns))]
    public void DownPoolsToMeansWithItsGradients(string pattern)
    {
        var hidden = _golden.Leaf($"{pattern}.hidden");
        var values = _golden.Leaf($"{pattern}.boundaries");
        var nullRow = _golden.Leaf("in.null_group");
        var pooled = SegmentPooling.Down(hidden, values, Segments.Of(values.detach().greater(0.5)), nullRow);
        _golden.AssertClose($"{pattern}.down", pooled, PoolingGolden.Values);
        (pooled * _golden[$"{pattern}.down.R"]).sum().backward();
        _golden.AssertGradient($"{pattern}.down.g.hidden", hidden);
        _golden.AssertGradient($"{pattern}.down.g.boundaries", values);
        _golden.AssertGradient($"{pattern}.down.g.null_group", nullRow);
    }

    [Theory]
    [MemberData(nameof(Patterns))]
    public void UpReadsTheNewestClosedSegment(string pattern)
    {
        var pooled = _golden.Leaf($"{pattern}.up.in");
        var tokens = SegmentPooling.Up(pooled, Segments.Of(_golden[$"{pattern}.boundaries"].greater(0.5)));
        _golden.AssertClose($"{pattern}.up", tokens, PoolingGolden.Values);
        (tokens * _golden[$"{pattern}.up.R"]).sum().backward();
        _golden.AssertGradient($"{pattern}.up.g.in", pooled);

        // The files say zero here, up to rounding: that no gradient leaves is right.
        Assert.True(_golden[$"{pattern}.up.g.boundaries"].abs().max().ToDouble() < PoolingGolden.Gradients);
    }

    [Theory]
    [MemberData(nameof(Patterns))]
    public void WithoutTheNullRowTheSegmentsAreThoseOfTheImageTower(string pattern)
    {
        var segments = Segments.Of(_golden[$"{pattern}.boundaries"].greater(0.5));
        if (segments.Length > 0)
        {
            _golden.AssertClose($"{pattern}.down_drip", SegmentPooling.Mean(_golden[$"{pattern}.hidden"], null, segments, BoundaryGradients.Suffix), PoolingGolden.Values);
        }
        else
        {
            // The file has the null row in place of nothing; the kit has no rows.
            _golden.AssertClose($"{pattern}.down_drip", _golden["in.null_group"].expand(1, segments.Closed.shape[0], -1), PoolingGolden.Values);
        }
    }
}
