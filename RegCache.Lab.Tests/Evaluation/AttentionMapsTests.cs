using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Evaluation;

public sealed class AttentionMapsTests : IDisposable
{
    private const int Block = 2;

    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny);
    private readonly Tensor _images = new RandomTensors(1).Normal(2, 3, 32, 24);

    private VisionTower Tower => _model.Vision;

    public void Dispose()
    {
        _model.Dispose();
        _images.Dispose();
    }

    [Fact]
    public void MapsAreTheMeanAttentionOverHeadsAndQueries()
    {
        using var scope = torch.NewDisposeScope();
        var probabilities = Activations.Of(Tower, _images, Block, ActivationKind.AttentionProbabilities);
        var maps = AttentionMaps.Measure(Tower, _images, Block);
        Assert.Equal((Block, Tower.Config.Grid.Width, 2), (maps.Block, maps.Columns, maps.Maps.Count));

        // [B,H,N,N]: of whom, by head, who attends, to whom. The class token is the first.
        var expected = probabilities.mean([1, 2]);
        for (var image = 0; image < 2; image++)
        {
            Assert.Equal(Tower.Config.Patches, maps.Maps[image].Count);
            Assert.Equal(1 - expected[image, 0].item<float>(), maps.Maps[image].Sum(), 1e-5f);
            Assert.All(maps.Maps[image].Index(), patch => Assert.Equal(expected[image, patch.Index + 1].item<float>(), patch.Item, 1e-6f));
        }
    }

    [Fact]
    public void OneQueryAloneCanBeAsked()
    {
        using var scope = torch.NewDisposeScope();
        var probabilities = Activations.Of(Tower, _images, Block, ActivationKind.AttentionProbabilities);
        foreach (var query in new[] { 0, 5 })
        {
            var map = AttentionMaps.Measure(Tower, _images, Block, query).Maps[1];
            var expected = probabilities.mean([1])[1, query];
            Assert.All(map.Index(), patch => Assert.Equal(expected[patch.Index + 1].item<float>(), patch.Item, 1e-6f));
        }
    }

    [Fact]
    public void TheShareOfOutliersIsTheirSumAveragedOverImages()
    {
        // In the first image patches 1 and 3 are outliers, in the second none.
        var maps = new AttentionMaps(0, 2, [[0.1f, 0.3f, 0.1f, 0.4f], [0.2f, 0.2f, 0.2f, 0.2f]]);
        var norms = new PatchNorms(2, [[1, 9, 1, 7], [1, 1, 1, 1]]);
        Assert.Equal((0.7 + 0) / 2, maps.ShareOfOutliers(norms), 1e-6);
    }

    [Fact]
    public void PatchNormsAreThoseOfTheStreamThatLeavesTheBlock()
    {
        using var scope = torch.NewDisposeScope();
        var stream = Activations.Of(Tower, _images, Block, ActivationKind.BlockOutput);
        var expected = stream.narrow(1, 1, Tower.Config.Patches).norm(dim: -1);
        var norms = PatchNorms.Measure(Tower, _images, Block);
        Assert.Equal(Tower.Config.Grid.Width, norms.Columns);
        for (var image = 0; image < 2; image++)
        {
            Assert.All(norms.Norms[image].Index(), patch => Assert.Equal(expected[image, patch.Index].item<float>(), patch.Item, 1e-4f));
        }
    }
}
