using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Placement;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Placement;

/// <summary>A trained encoder's class token that enters late.</summary>
public sealed class HeldBackClassTokenTests : IDisposable
{
    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly ClipModel _model = TinyClip.Load();

    public void Dispose()
    {
        _model.Dispose();
        _scope.Dispose();
    }

    [Fact]
    public void TheFirstBlocksSeePatchesOnlyAndTheTokenEntersAsItLeftTheEmbedding()
    {
        var tower = _model.Vision;
        var images = torch.randn(3, 3, tower.Config.ImageSize.Height, tower.Config.ImageSize.Width, generator: new torch.Generator(4));
        var plain = EncoderPlan.Plain(tower.Blocks.Count);
        using var runner = new PlanRunner(tower);
        using var noGradient = torch.no_grad();
        var token = new HeldBackClassToken(tower);
        for (var block = 1; block < tower.Blocks.Count; block++)
        {
            var stream = tower.Embed(images);
            var (row, patches) = (stream.Tokens.narrow(1, 0, 1), stream.Tokens.narrow(1, 1, stream.Length - 1));
            stream = new(patches.contiguous(), stream.Layout with { ClassTokens = 0 });
            for (var index = 0; index < tower.Blocks.Count; index++)
            {
                stream = index == block ? new(torch.cat([row, stream.Tokens], 1), stream.Layout with { ClassTokens = 1 }) : stream;
                stream = TransformerBlock.Forward(
                    stream, index, tower.Blocks[index], BlockPlan.Plain, keepTokens: index == tower.Blocks.Count - 1 ? tower.Config.ClassTokens : null);
            }

            var plan = token.ApplyTo(plain, block);
            GoldenTensors.AssertIdentical(tower.Project(stream), runner.Run(images, plan));
            Assert.True(MacsTable.Of(tower, plan).Total < MacsTable.Of(tower, plain).Total);
        }
    }

    [Fact]
    public void PlansWithTheSameTokenAreEqualAndItJoinsMergedTokens()
    {
        var tower = _model.Vision;
        var token = new HeldBackClassToken(tower);
        var plan = MergingSetting.ToMe(1).ApplyTo(EncoderPlan.Plain(tower.Blocks.Count));
        Assert.Equal(token.ApplyTo(plan, 1), token.ApplyTo(plan, 1));
        Assert.NotEqual(token.ApplyTo(plan, 1), plan);
        Assert.Equal(MacsTable.Of(tower, plan).FinalTokens, MacsTable.Of(tower, token.ApplyTo(plan, 1)).FinalTokens);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(99)]
    public void ABlockThatIsNoneIsRefused(int block) =>
        Assert.Contains(
            $"before block {block}",
            Assert.Throws<UserException>(() => new HeldBackClassToken(_model.Vision).ApplyTo(EncoderPlan.Plain(_model.Vision.Blocks.Count), block)).Message,
            StringComparison.Ordinal);
}
