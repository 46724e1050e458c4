using RegCache.Lab.Encoders;
using RegCache.Lab.Merging;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Merging;

[Collection(ProcessWide.Name)]
public sealed class MergingLifetimeTests
{
    [Fact]
    public void PassesLeaveNoTensorsBehind()
    {
        using var model = RandomModels.Create(RandomModels.Tiny);
        using var images = torch.randn(2, 3, 32, 24);
        var plans = new[]
        {
            MergingSetting.Lgtm(4, 1, 3) with { TrackSources = true, Outliers = new(OutlierHandling.Last, 2) },
            new MergingSetting(MergingMethods.RandomMerging, MergeSchedule.Constant(2)),
            new MergingSetting(MergingMethods.RandomPruning, MergeSchedule.Constant(2)),
            new MergingSetting(MergingMethods.AttentionPruning, MergeSchedule.Constant(2)),
        }.Select(setting => setting.ApplyTo(EncoderPlan.Plain(model.Vision.Blocks.Count))).ToArray();
        using var runner = new PlanRunner(model.Vision);
        void Pass() => Array.ForEach(plans, plan => runner.Run(images, plan).Dispose());
        Pass();
        var before = ProcessWide.LiveTensors();
        Pass();
        Pass();
        Assert.Equal(before, Tensor.TotalCount);
    }
}
