using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Tests.Encoders;

[Collection(ProcessWide.Name)]
public sealed class PlanLifetimeTests
{
    [Fact]
    public void ForwardPassesLeaveNoTensorsBehind()
    {
        using var model = RandomModels.Create(RandomModels.Tiny);
        using var images = torch.randn(5, 3, 32, 24);
        var rows = Enumerable.Range(0, 4).ToDictionary(block => block, _ => (torch.randn(24), torch.randn(24)));
        var plan = new RegCacheSetting(1, 3, 2, 2)
            .ApplyTo(EncoderPlan.Uniform(4, new NaiveQuantizer(new(6, 6))), new RegisterPrefix("p", rows));
        using var runner = new PlanRunner(model.Vision);
        runner.Run(images, plan).Dispose();
        var before = ProcessWide.LiveTensors();
        for (var round = 0; round < 5; round++)
        {
            runner.Run(images, plan).Dispose();
        }

        Assert.Equal(before, torch.Tensor.TotalCount);
    }
}
