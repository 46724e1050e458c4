using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Merging;

/// <summary>Merging together with what the other systems do to the stream.</summary>
public sealed class CompositionTests : IDisposable
{
    private const int Layers = 5;

    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny with
    {
        Vision = RandomModels.Tiny.Vision with { Layers = Layers, ImageSize = (56, 72) },
    });

    private readonly RandomTensors _draw = new(4);
    private readonly Tensor _images;
    private readonly DisposeScope _scope;

    public CompositionTests()
    {
        _images = _draw.Normal(4, 3, 56, 72);
        _scope = torch.NewDisposeScope();
    }

    private VisionTower Tower => _model.Vision;

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 3)]
    [InlineData(1, 5)]
    public void MergesWithPrefixDeletionAndQuantizer(int localStart, int globalStart)
    {
        var registers = new RegCacheSetting(1, 3, 2, 2)
            .ApplyTo(EncoderPlan.Uniform(Layers, new NaiveQuantizer(new(8, 8))), RandomPrefix());
        var plan = (MergingSetting.Lgtm(6, localStart, globalStart) with { TrackSources = true }).ApplyTo(registers);
        using var runner = new PlanRunner(Tower);
        var stream = runner.Forward(_images, plan);
        Assert.True(Tower.Project(stream).isfinite().all().item<bool>());

        // Deletion before block 2 takes its tokens, and what was merged into them, out of the account.
        Assert.True(stream.Sources!.sum(1).le(1).all().item<bool>());
        Assert.True(stream.Sources!.sum(2, keepdim: true).eq(stream.Sizes!).all().item<bool>());
        Assert.Equal(MacsTable.Of(Tower.Config, 1, plan).FinalTokens, stream.Length);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void WindowsAreRebuiltAfterDeletion(int deleteCount)
    {
        var plan = EncoderPlan.Plain(Layers)
            .With(1, block => block with { Before = [new DeleteOutliers(deleteCount), new TrackSources()] })
            .With(1, block => block with { Between = [new MergeInWindows(2)] })
            .With(2, block => block with { Before = [new DeleteOutliers(deleteCount)] })
            .With(2, block => block with { Between = [new MergeInWindows(2)] });
        using var runner = new PlanRunner(Tower);
        var stream = runner.Forward(_images, plan);
        var grid = Tower.Config.Grid;
        Assert.Equal(1 + (grid.Height * grid.Width) - (2 * deleteCount) - 16, stream.Length);

        // Members of a group lie in one window of the original grid, and the runs are in window order.
        using var before = new PlanRunner(Tower);
        var entered = before.Forward(_images, plan.With(1, block => block with { Between = [] }).With(2, _ => BlockPlan.Plain), 2).Positions!;
        var windows = WindowOf(entered, grid);
        var sources = stream.Sources!;
        for (var image = 0; image < sources.shape[0]; image++)
        {
            var last = 0L;
            for (var token = 1; token < sources.shape[1]; token++)
            {
                var members = sources[image, token].nonzero().flatten().data<long>().ToArray();
                var window = Assert.Single(members.Select(member => windows[image][member]).Distinct());
                Assert.True(window >= last);
                last = window;
            }
        }
    }

    [Fact]
    public void LocalMergingAfterGlobalIsRefused()
    {
        var plan = EncoderPlan.Plain(Layers)
            .With(0, block => block with { Between = [new MergeTokens(3)] })
            .With(1, block => block with { Between = [new MergeInWindows(1)] });
        using var runner = new PlanRunner(Tower);
        Assert.Throws<UserException>(() => runner.Run(_images, plan));
        Assert.Throws<UserException>(() => MergingSetting.Lgtm(4, 3, 1).ApplyTo(EncoderPlan.Plain(Layers)));
    }

    [Fact]
    public void NarrowGridsHaveNoWindows() => Assert.Throws<UserException>(() => WindowGrid.Lengths(1, 8));

    [Theory]
    [InlineData(OutlierHandling.Protect)]
    [InlineData(OutlierHandling.Last)]
    public void OutliersAreSpared(OutlierHandling handling)
    {
        const int outliers = 3;
        var tokens = _draw.Normal(4, 36, 24);
        var positions = new long[] { 5, 10, 17 };
        foreach (var position in positions)
        {
            tokens.select(1, position).mul_(50);
        }

        var batch = new TokenBatch(tokens, new(1, 0, 5, 7)) { Sources = torch.eye(36).expand(4, -1, -1) };
        foreach (ITokenStage stage in new ITokenStage[]
        {
            new MergeTokens(13) { Outliers = new(handling, outliers) },
            new MergeInWindows(1) { Outliers = new(handling, outliers) },
        })
        {
            var context = new StageContext(0) { Keys = _draw.Normal(4, 2, 36, 8) };
            var merged = stage.Apply(batch, context);
            Assert.True(merged.Length < 36);
            var sizes = merged.Sources!.transpose(1, 2).matmul(merged.Sizes!).squeeze(-1);
            Assert.All(positions, position => Assert.True(sizes.select(1, position).eq(1).all().item<bool>()));
        }
    }

    [Fact]
    public void MatchingKeepsGradients()
    {
        var tokens = _draw.Normal(2, 9, 4).requires_grad_();
        var stage = new MergeTokens(3);
        var merged = stage.Apply(
            new(tokens, new(1, 0, 2, 4)), new(0) { Keys = _draw.Normal(2, 1, 9, 4).requires_grad_() });
        merged.Tokens.sum().backward();

        // Each of the 2 * 6 groups passes one unit a channel on, shared by its members.
        Assert.Equal(2 * 6 * 4, tokens.grad!.sum().item<float>(), 3);
        Assert.True(tokens.grad!.gt(0).all().item<bool>());
    }

    public void Dispose()
    {
        _scope.Dispose();
        _model.Dispose();
        _images.Dispose();
    }

    private static long[][] WindowOf(Tensor positions, (int Height, int Width) grid) =>
        [.. Enumerable.Range(0, (int)positions.shape[0]).Select(image => positions[image].data<long>().ToArray().Select(position =>
        {
            var (row, column) = Math.DivRem(position - 1, grid.Width);
            return ((row >= (grid.Height + 1) / 2 ? 2L : 0) + (column >= (grid.Width + 1) / 2 ? 1 : 0));
        }).ToArray())];

    private RegisterPrefix RandomPrefix() => new(
        "p",
        Enumerable.Range(0, Layers).ToDictionary(
            block => block,
            _ => (_draw.Normal(Tower.Config.Width).DetachFromDisposeScope(), _draw.Normal(Tower.Config.Width).DetachFromDisposeScope())));
}
