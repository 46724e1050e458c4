namespace RegCache.Lab.Tests;

public class CounterRandomTests
{
    [Fact]
    public void Normal_numbers_have_the_deviation_asked_for()
    {
        var random = CounterRandom.Of(1, 2, 3);
        var values = new float[200_000];
        random.FillNormal(values, 5);
        var mean = values.Average();
        Assert.Equal(0, mean, 0.05);
        Assert.Equal(5, Math.Sqrt(values.Average(value => (value - mean) * (double)(value - mean))), 0.05);
    }

    [Fact]
    public void Filling_in_parts_draws_the_same_numbers()
    {
        var (whole, parts) = (new float[100], new float[100]);
        var (first, second) = (CounterRandom.Of(7, 0, 0), CounterRandom.Of(7, 0, 0));
        first.FillNormal(whole, 1);
        second.FillNormal(parts.AsSpan(0, 33), 1);
        second.FillNormal(parts.AsSpan(33), 1);
        Assert.Equal(whole, parts);
    }

    [Fact]
    public void A_permutation_holds_every_number_once()
    {
        var random = CounterRandom.Of(0, 1, 2);
        Assert.Equal(Enumerable.Range(0, 1000), random.NextPermutation(1000).Order());
        Assert.NotEqual(random.NextPermutation(1000), random.NextPermutation(1000));
    }

    [Fact]
    public void Indices_are_uniform()
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
