using RegCache.Lab.Encoders;
using RegCache.Lab.Pooling.Towers;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Pooling;

/// <summary>The pooled text tower is causal, and what follows the end of a text changes nothing.</summary>
public sealed class TextTowerPoolingTests : IDisposable
{
    private const long End = 49;

    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly Tensor _ids = torch.tensor([3L, 7, 9, 4, 6, End, 0, 0, 0, 0, 5, 8, End, 0, 0, 0, 0, 0, 0, 0], [2, 10]);

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(TextBoundaryKind.Gumbel)]
    [InlineData(TextBoundaryKind.Words)]
    public void NoTokenSeesALaterOneAndNothingSeesPadding(TextBoundaryKind kind)
    {
        using var model = Model(kind);
        using var noGradient = torch.no_grad();
        var (tower, features) = (model.Text!, model.Text!.Encode(_ids));
        var later = _ids.clone();
        later[0, 3] = torch.tensor(12L);
        GoldenTensors.AssertClose(Stream(tower, _ids).narrow(0, 0, 1).narrow(1, 0, 3), Stream(tower, later).narrow(0, 0, 1).narrow(1, 0, 3), 1e-6);
        Assert.False(Stream(tower, _ids)[0, 4].allclose(Stream(tower, later)[0, 4]));
        var padded = _ids.clone();
        padded[0, 7] = torch.tensor(2L);
        GoldenTensors.AssertClose(features, tower.Encode(padded), 1e-6);
        foreach (var text in new[] { 0, 1 })
        {
            GoldenTensors.AssertClose(features.narrow(0, text, 1), tower.Encode(_ids.narrow(0, text, 1)), 1e-6);
        }
    }

    [Fact]
    public void WordsAreAsLongAsTheVocabularySays()
    {
        using var model = Model(TextBoundaryKind.Words);
        using var noGradient = torch.no_grad();
        var tower = model.Text!;
        var entering = tower.Embed(_ids);
        var pooled = new TextPooler(tower.Config, model.Weights, "").Before(0, _ids, null).Aggregate(entering, (batch, stage) => stage.Apply(batch, new(0)));

        // Odd ids end a word: 3 | 7 | 9 | 4 6 end, and 5 | 8 end; the null row is in front.
        Assert.Equal([1f, 1, 1, 1, 3], pooled.Sizes![0].flatten().data<float>().ToArray());
        Assert.Equal([1f, 1, 2, 0, 0], pooled.Sizes![1].flatten().data<float>().ToArray());
        Assert.True(pooled.HasPadding);
    }

    [Theory]
    [InlineData("has 2 blocks, but the stacks [1, 1, 1]", "1,1,1")]
    [InlineData("three stacks of blocks", "1,1")]
    [InlineData("three stacks of blocks", "1,1,0")]
    public void ImpossibleStacksAreRefused(string why, string layers) => Assert.Contains(
        why,
        Assert.Throws<UserException>(() => new TextTowerPooling { Layers = [.. layers.Split(',').Select(int.Parse)] }.Validated(RandomModels.Tiny.Text!, "test")).Message,
        StringComparison.Ordinal);

    private static Tensor Stream(TextTower tower, Tensor ids) => Enumerable.Range(0, tower.Blocks.Count)
        .Aggregate(tower.Embed(ids), (stream, block) => tower.RunBlock(stream, block, tower.Blocks[block], ids)).Tokens;

    private static ClipModel Model(TextBoundaryKind kind)
    {
        var text = RandomModels.Tiny.Text! with { Layers = 3, Pooling = new() { Layers = [kind == TextBoundaryKind.Words ? 0 : 1, kind == TextBoundaryKind.Words ? 2 : 1, 1], Boundaries = kind } };
        var model = PooledTowerTests.Create(RandomModels.Tiny with { Text = text });
        using var noGradient = torch.no_grad();
        foreach (var name in model.Weights.Names.Where(TextPooler.IsTable))
        {
            model.Weights[name].copy_(torch.arange(text.VocabSize).remainder(2));
        }

        return model;
    }
}
