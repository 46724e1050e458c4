using RegCache.Lab.Data;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Tests.Encoders;
using TorchSharp;

namespace RegCache.Lab.Tests.Evaluation;

public sealed class TokenNormsTests
{
    [Fact]
    public void RowsAreTheEmbeddingAndEveryBlock()
    {
        using var model = RandomModels.Create(RandomModels.Tiny);
        using var images = new MemoryImageSource(new RandomTensors(1).Normal(3, 3, 32, 24), [0, 0, 0]);
        var norms = TokenNorms.Measure(model.Vision, images, 2, new("norms", 2));
        Assert.Equal(model.Vision.Blocks.Count + 1, norms.Count);
        Assert.Null(norms[0].MaxMlpHidden);
        Assert.All(norms, row => Assert.True(row.MaxNorm >= row.MedianNorm));
    }

    [Fact]
    public void AnOutlierIsAboveFiveTimesTheMedian()
    {
        var norms = new PatchNorms(2, [[1, 1, 5.1f, 5]]);
        Assert.Equal([false, false, true, false], norms.Outliers(0));
    }
}
