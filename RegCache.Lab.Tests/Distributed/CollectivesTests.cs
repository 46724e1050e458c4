using RegCache.Lab.Data;
using RegCache.Lab.Distributed;

namespace RegCache.Lab.Tests.Distributed;

public sealed class CollectivesTests
{
    [Fact]
    public void OneProcessChangesNothingAndCopiesNothing()
    {
        var alone = SingleProcess.Instance;
        using var tensor = torch.ones(3);
        alone.Mean(tensor);
        new GradientAverage(alone, [tensor]).End();
        using var gathered = alone.Gather(tensor);
        gathered.add_(1);
        Assert.Equal([2, 2, 2], tensor.data<float>().ToArray());
        Assert.Equal((0L, TimeSpan.Zero), (alone.BytesSummed, alone.Waited));
    }

    [Fact]
    public void PartsOfDifferentLengthsAreGatheredInOrder()
    {
        var all = ThreadGroup.Run(3, group =>
        {
            using var part = torch.full([2 * group.Rank, 2], (float)group.Rank);
            using var gathered = group.Gather(part);
            return gathered.data<float>().ToArray();
        });
        Assert.All(all, values => Assert.Equal([1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2], values));
        Assert.All(ThreadGroup.Run(3, group => group.GatherTexts(new string('ü', group.Rank))), texts => Assert.Equal(["", "ü", "üü"], texts));
    }

    [Fact]
    public void GradientsBecomeTheirMeanWhateverTheirSize()
    {
        // Large ones are summed where they lie; small ones fill two buckets, with another number type between them.
        long[][] shapes = [[600, 500], [3], [70, 60], [2, 2], [1 << 17], [1 << 17]];
        var results = ThreadGroup.Run(2, group =>
        {
            using var scope = torch.NewDisposeScope();
            var parameters = shapes.Select((shape, index) =>
            {
                var type = index == 3 ? torch.ScalarType.Float64 : torch.ScalarType.Float32;
                var parameter = torch.zeros(shape, type).requires_grad_();
                parameter.grad = torch.full(shape, (group.Rank + 1) * (index + 1.0), type);
                return parameter;
            }).Append(torch.zeros(5).requires_grad_()).ToList();
            new GradientAverage(group, parameters).End();
            Assert.Null(parameters[^1].grad);
            Assert.Equal(shapes.Select((shape, index) => shape.Aggregate(1L, (product, size) => product * size) * (index == 3 ? 8 : 4)).Sum(), group.BytesSummed);
            return parameters.SkipLast(1).Select(parameter => (parameter.grad!.min().ToDouble(), parameter.grad!.max().ToDouble())).ToArray();
        });
        Assert.All(results, means => Assert.Equal(shapes.Select((_, index) => ((index + 1) * 1.5, (index + 1) * 1.5)), means));
    }

    [Fact]
    public void GradientsOfLaterLayersTravelBeforeThoseOfEarlierOnesAreThere()
    {
        var sent = ThreadGroup.Run(2, group =>
        {
            using var scope = torch.NewDisposeScope();
            var weights = Enumerable.Range(1, 3).Select(layer => torch.full([4, 4], 0.1 * layer).requires_grad_()).ToArray();
            var shared = torch.ones(4).requires_grad_();
            var average = new GradientAverage(group, [.. weights, shared]);
            var stream = torch.full([1, 4], group.Rank + 1.0f);
            foreach (var weight in weights)
            {
                stream = average.Mark(stream).matmul(weight) * shared;
            }

            average.Begin();
            stream.sum().backward();
            var before = group.BytesSummed;
            average.End();
            return (before, group.BytesSummed, weights.Append(shared).Select(weight => weight.grad!.data<float>().ToArray()).ToArray());
        });

        // What enters the first layer has no gradient, so that layer's is not seen until the pass has ended; nor is the shared one, which it uses, too.
        const int weight = 4 * 4 * 4;
        Assert.All(sent, process => Assert.Equal((2L * weight, (3L * weight) + 16), (process.before, process.BytesSummed)));

        // The loss is linear in the input, so the mean over inputs 1 and 2 is that of 1.5.
        using var whole = torch.NewDisposeScope();
        var alone = Enumerable.Range(1, 3).Select(layer => torch.full([4, 4], 0.1 * layer).requires_grad_()).Append(torch.ones(4).requires_grad_()).ToArray();
        alone[..3].Aggregate(torch.full([1, 4], 1.5f), (stream, layer) => stream.matmul(layer) * alone[3]).sum().backward();
        Assert.All(sent, process => Assert.All(process.Item3.Zip(alone), pair => Assert.All(
            pair.First.Zip(pair.Second.grad!.data<float>().ToArray()), values => Assert.Equal(values.Second, values.First, 1e-6f))));
    }

    [Fact]
    public void AFailureInsideTheBackwardPassIsToldAfterIt()
    {
        using var scope = torch.NewDisposeScope();
        var weight = torch.ones(2, 2).requires_grad_();
        var average = new GradientAverage(new LostGroup(), [weight]);
        average.Begin();
        average.Mark(average.Mark(torch.ones(1, 2).matmul(weight)).matmul(weight)).sum().backward();
        Assert.Equal("lost", Assert.Throws<UserException>(average.End).Message);
    }

    [Fact]
    public void SumsAndMeansPassTheGradientsOfTheMeanLoss()
    {
        // Process r has x = r + 1 and the loss (r + 1) s^2 of the sum s of all x: d(mean loss)/dx = 2 s * 1.5 everywhere, before averaging over processes times 2.
        var gradients = ThreadGroup.Run(2, group =>
        {
            using var scope = torch.NewDisposeScope();
            var x = torch.tensor(group.Rank + 1.0).requires_grad_();
            (group.SumWithGradient(x).square() * (group.Rank + 1)).backward();
            var y = torch.tensor(group.Rank + 1.0).requires_grad_();
            var mean = group.MeanForAll(y);
            mean.square().backward();
            return (x.grad!.ToDouble(), y.grad!.ToDouble(), mean.ToDouble());
        });
        Assert.All(gradients, pair => Assert.Equal((2 * 3 * 1.0 + (2 * 3 * 2.0), 2 * 1.5, 1.5), pair));
    }

    [Theory]
    [InlineData(1, 7, 3)]
    [InlineData(2, 7, 3)]
    [InlineData(3, 7, 3)]
    [InlineData(4, 7, 3)]
    public void ProcessesShareTheBatchesOfOne(int size, int count, int batchSize)
    {
        using var images = new MemoryImageSource(torch.arange(count, torch.ScalarType.Float32).view(count, 1, 1, 1).expand(count, 3, 2, 2).contiguous(), []);
        var shares = ThreadGroup.Run(size, group =>
            images.ReadShare(group, batchSize, firstBatch: 1, default).Select(batch => batch is null ? [] : batch.Indices.ToArray()).ToArray());
        Assert.Single(shares.Select(rounds => rounds.Length).Distinct());
        var inOrder = Enumerable.Range(0, shares[0].Length).SelectMany(round => shares.Select(share => share[round])).Where(batch => batch.Length > 0).ToList();
        Assert.Equal([[3, 4, 5], [6]], inOrder);
    }
}
