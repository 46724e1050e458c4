using RegCache.Lab.Data;

namespace RegCache.Lab.Tests.Data;

public sealed class ImageSubsetTests : IDisposable
{
    // Image i is filled with i, its label is i / 4.
    private readonly MemoryImageSource _all = new(
        torch.arange(10, dtype: torch.ScalarType.Float32).view(10, 1, 1, 1).expand(10, 3, 2, 2).contiguous(), [.. Enumerable.Range(0, 10).Select(index => index / 4)]);

    public void Dispose() => _all.Dispose();

    [Theory]
    [InlineData(4, 0, 2, 5, 7)]
    [InlineData(3, 0, 3, 6)]
    [InlineData(1, 0)]
    [InlineData(10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)]
    [InlineData(99, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)]
    public void ImagesAreEvenlySpaced(int count, params int[] expected)
    {
        var subset = new ImageSubset(_all, count);
        Assert.Equal(expected.Length, subset.Count);
        Assert.Equal(expected.Select(index => index / 4), subset.Labels);
        Assert.Equal(expected, Values(subset.Read([.. Enumerable.Range(0, subset.Count)])));
    }

    [Fact]
    public void BatchesCountInTheSubset()
    {
        var subset = new ImageSubset(_all, 5);
        var batches = subset.ReadBatches(2).ToList();
        Assert.Equal([[0, 1], [2, 3], [4]], batches.Select(batch => batch.Indices));
        Assert.Equal([0, 2, 4, 6, 8], batches.SelectMany(batch => Values(batch.Images)));
        Assert.Equal([4], Assert.Single(subset.ReadBatches(2, firstBatch: 2)).Indices);
        Assert.Equal([8, 0], Values(subset.Read([4, 0])));
    }

    [Fact]
    public void OtherImagesHaveAnotherFingerprint()
    {
        Assert.Equal(new ImageSubset(_all, 5).Fingerprint, new ImageSubset(_all, 5).Fingerprint);
        Assert.NotEqual(new ImageSubset(_all, 5).Fingerprint, new ImageSubset(_all, 4).Fingerprint);
        Assert.NotEqual(_all.Fingerprint, new ImageSubset(_all, 5).Fingerprint);
        using var others = new MemoryImageSource(torch.zeros(10, 3, 2, 2), []);
        Assert.NotEqual(new ImageSubset(others, 5).Fingerprint, new ImageSubset(_all, 5).Fingerprint);
        Assert.Empty(new ImageSubset(others, 5).Labels);
    }

    private static IEnumerable<int> Values(Tensor images) => images.select(1, 0).select(1, 0).select(1, 0).data<float>().ToArray().Select(value => (int)value);
}
