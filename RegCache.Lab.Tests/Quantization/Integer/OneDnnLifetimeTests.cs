using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Quantization.Integer;

[Collection(ProcessWide.Name)]
public sealed class OneDnnLifetimeTests
{
    [IntegerFact]
    public void PackedWeightsGoWithTheirOwners()
    {
        var config = RandomModels.Tiny with { Text = null };
        using var images = torch.randn(2, 3, 32, 24);
        EncoderPlan[] plans =
        [
            EncoderPlan.Plain(config.Vision.Layers),
            EncoderPlan.Uniform(config.Vision.Layers, new NaiveQuantizer(new(8, 8))),
        ];
        long[] counts = new long[4];
        for (var round = 0; round < counts.Length; round++)
        {
            using (var model = new ClipModel(config, RandomModels.Weights(config), new OneDnnBackend(ExecutionMode.Integer)))
            using (var runner = new PlanRunner(model.Vision))
            {
                runner.Run(images, new PlanTree(plans), (_, _) => { });
                var running = ProcessWide.LiveTensors();
                runner.Run(images, new PlanTree(plans), (_, _) => { });
                Assert.Equal(running, torch.Tensor.TotalCount);
            }

            counts[round] = torch.Tensor.TotalCount;
        }

        Assert.Equal(counts[1], counts[3]);
    }
}
