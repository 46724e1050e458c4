using RegCache.Lab.Training;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

public sealed class MixingTests
{
    [Fact]
    public void OneDrawHoldsForABatch()
    {
        var random = CounterRandom.Of(1, 2, 3);
        Assert.Single(new Mixing().Draw(ref random, 8, 32, 32).Distinct());
    }

    [Fact]
    public void PairsShareTheirDraw()
    {
        var random = CounterRandom.Of(1, 2, 3);
        var mixes = new Mixing(Mode: MixingMode.Pair).Draw(ref random, 8, 32, 32);
        Assert.Equal(mixes[..4], mixes[4..].Reverse());
        Assert.Equal(4, mixes.Distinct().Count());
    }

    [Fact]
    public void EveryImageMayHaveItsOwnDraw()
    {
        var random = CounterRandom.Of(1, 2, 3);
        Assert.Equal(8, new Mixing(Mode: MixingMode.Elem).Draw(ref random, 8, 32, 32).Distinct().Count());
    }

    [Theory]
    [InlineData(0.8, 0, false)]
    [InlineData(0, 1, true)]
    public void AnAlphaOfZeroTurnsAKindOff(double mixup, double cutmix, bool hasBox)
    {
        for (var index = 0; index < 50; index++)
        {
            var random = CounterRandom.Of(1, 2, index);
            Assert.Equal(hasBox, new Mixing(mixup, cutmix).Draw(ref random, 2, 32, 32)[0].Box is not null);
        }
    }

    [Fact]
    public void TheShareIsWhatTheBoxLeaves()
    {
        for (var index = 0; index < 200; index++)
        {
            var random = CounterRandom.Of(4, 5, index);
            var mix = new Mixing(0, 1).Draw(ref random, 2, 24, 32)[0];
            var images = Mixing.Apply(torch.arange(2).view(2, 1, 1, 1).expand(2, 3, 24, 32).to(torch.ScalarType.Float32), [mix]);
            Assert.Equal(1 - mix.Share, images[0].mean().ToDouble(), 1e-6);
        }
    }

    [Fact]
    public void MixesOfTheirOwnAreAppliedToTheirOwnImages()
    {
        var images = new RandomTensors(2).Normal(4, 3, 8, 8);
        Mix[] mixes = [new(0.25, null), Mix.Nothing, Mix.Pasted(new MixBox(1, 2, 3, 4), 8, 8), new(0.5, null)];
        var mixed = Mixing.Apply(images, mixes);
        for (var index = 0; index < 4; index++)
        {
            GoldenTensors.AssertIdentical(Mixing.Apply(images, [mixes[index]])[index], mixed[index]);
        }
    }

    [Fact]
    public void AnOddBatchIsRefusedWithItsSize() =>
        Assert.Contains("not 3", Assert.Throws<UserException>(() => Mixing.Apply(torch.zeros(3, 3, 4, 4), [Mix.Nothing])).Message);

    [Fact]
    public void CosubIsTheMeanOfFourTerms()
    {
        var draw = new RandomTensors(9);
        var (first, second, targets) = (draw.Normal(3, 5), draw.Normal(3, 5), torch.zeros(3, 5));
        torch.Tensor Binary(torch.Tensor logits, torch.Tensor wanted) => ClassificationLosses.Binary(logits, wanted);
        var expected = (Binary(first, targets) + Binary(second, targets) + Binary(first, second.sigmoid()) + Binary(second, first.sigmoid())) / 4;
        GoldenTensors.AssertClose(expected, ClassificationLosses.Cosub(torch.cat([first, second]), logits => Binary(logits, targets)), 1e-6);
    }
}
