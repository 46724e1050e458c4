using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Training.ShapesClip;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

public class RegisterLossTests
{
    private const int Patches = 16;
    private static readonly RegisterLossOptions _options = new() { Steps = 1000, Positions = 2, RampSteps = 10 };

    [Fact]
    public void GradientsRaiseTheChosenPositionsWhereTheyTellLittleAndLowerTheOthers()
    {
        // Positions 3 and 7 are marked most; in the first image patch 7 tells much.
        var values = new float[2 * (1 + Patches)];
        (values[1 + 3], values[1 + 7], values[1 + Patches + 1 + 3], values[1 + Patches + 1 + 7]) = (2, 2, 2, 2);
        using var marks = torch.tensor(values, [2, 1 + Patches]).requires_grad_();
        using var isLow = torch.ones(2, Patches);
        isLow[0, 7] = torch.tensor(0f);
        using var loss = PlantedRegisters.Loss(_options, step: 10, Probe(marks), isLow, SingleProcess.Instance);
        loss.backward();
        var gradient = marks.grad!.data<float>().ToArray();
        Assert.True(gradient[1 + 3] < 0);
        Assert.Equal(0, gradient[1 + 7]);
        Assert.True(gradient[1 + Patches + 1 + 7] < 0);
        Assert.True(gradient[0] > 0, "the class token is never marked");
        Assert.All(Enumerable.Range(0, Patches).Except([3, 7]), patch => Assert.True(gradient[1 + patch] > 0));
    }

    [Fact]
    public void NothingIsLostOnceAllWishesAreMet()
    {
        var values = Enumerable.Repeat(-2f, 1 + Patches).ToArray();
        (values[1 + 3], values[1 + 7]) = (9, 9);
        using var marks = torch.tensor(values, [1, 1 + Patches]);
        using var isLow = torch.ones(1, Patches);
        using var attention = torch.zeros(1, 2, 1 + Patches, 1 + Patches);
        attention.narrow(3, 1 + 3, 1).fill_(0.5);
        using var loss = PlantedRegisters.Loss(_options, step: 500, Probe(marks, attention), isLow, SingleProcess.Instance);
        Assert.Equal(0, loss.ToDouble(), 1e-6);
    }

    [Fact]
    public void AHeadThatIgnoresTheRegistersIsAskedForItsShare()
    {
        var values = Enumerable.Repeat(-2f, 1 + Patches).ToArray();
        (values[1 + 3], values[1 + 7]) = (9, 9);
        using var marks = torch.tensor(values, [1, 1 + Patches]);
        using var isLow = torch.ones(1, Patches);
        using var attention = torch.zeros(1, 2, 1 + Patches, 1 + Patches);
        using var loss = PlantedRegisters.Loss(_options, step: 500, Probe(marks, attention), isLow, SingleProcess.Instance);
        Assert.Equal(_options.SinkShare * _options.SinkWeight, loss.ToDouble(), 1e-6);
    }

    // Neuron 0 of the mark block's MLP is the mark.
    private static RegisterProbe Probe(torch.Tensor marks, params torch.Tensor[] attention)
    {
        var probe = new RegisterProbe();
        probe.Observe(PlantedRegisters.MarkBlock, ActivationKind.MlpIn, marks.unsqueeze(2));
        foreach (var map in attention)
        {
            probe.Observe(PlantedRegisters.FirstAmplifier + 1, ActivationKind.AttentionProbabilities, map);
        }

        return probe;
    }
}
