namespace RegCache.Lab.Tests;

public class CounterRandomTests
{
    [Fact]
    public void NormalNumbersHaveTheDeviationAskedFor()
    {
        var random = CounterRandom.Of(1, 2, 3);
        var values = new float[200_000];
        random.FillNormal(values, 5);
        var mean = values.Average();
        Assert.Equal(0, mean, 0.05);
        Assert.Equal(5, Math.Sqrt(values.Average(value => (value - mean) * (double)(value - mean))), 0.05);
    }

    [Fact]
    public void FillingInPartsDrawsTheSameNumbers()
    {
        var (whole, parts) = (new float[100], new float[100]);
        var (first, second) = (CounterRandom.Of(7, 0, 0), CounterRandom.Of(7, 0, 0));
        first.FillNormal(whole, 1);
        second.FillNormal(parts.AsSpan(0, 33), 1);
        second.FillNormal(parts.AsSpan(33), 1);
        Assert.Equal(whole, parts);
    }

    [Fact]
    public void APermutationHoldsEveryNumberOnce()
    {
        var random = CounterRandom.Of(0, 1, 2);
        Assert.Equal(Enumerable.Range(0, 1000), random.NextPermutation(1000).Order());
        Assert.NotEqual(random.NextPermutation(1000), random.NextPermutation(1000));
    }

    [Fact]
    public void IndicesAreUniform()
    {
        var random = CounterRandom.Of(0, 0, 0);
        var counts = new int[10];
        for (var draw = 0; draw < 100_000; draw++)
        {
            counts[random.NextIndex(10)]++;
        }

        Assert.All(counts, count => Assert.InRange(count, 9_600, 10_400));
    }
}
