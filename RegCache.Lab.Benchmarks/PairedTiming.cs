using System.Diagnostics;

namespace RegCache.Lab.Benchmarks;

/// <summary>Two things timed in turn, A B B A, so that neither always comes second: on a noisy machine the ratio of a pair is steadier than either time.</summary>
internal sealed record PairedTiming(IReadOnlyList<double> First, IReadOnlyList<double> Second)
{
    /// <summary>Median seconds of the first.</summary>
    public double FirstMedian => Median(First);

    /// <summary>Median seconds of the second.</summary>
    public double SecondMedian => Median(Second);

    /// <summary>Median over pairs of second / first: how many times faster the first is.</summary>
    public double Ratio => Median([.. First.Zip(Second, (first, second) => second / first)]);

    /// <summary>The lowest and highest ratio of a pair.</summary>
    public (double Low, double High) RatioRange =>
        (First.Zip(Second, (first, second) => second / first).Min(), First.Zip(Second, (first, second) => second / first).Max());

    /// <summary>Times both, after one warm-up each unless the caller has warmed up. Each function returns its own seconds.</summary>
    public static PairedTiming Measure(int pairs, Func<double> first, Func<double> second, bool warmUp = true)
    {
        if (warmUp)
        {
            first();
            second();
        }

        var (firstTimes, secondTimes) = (new double[pairs], new double[pairs]);
        for (var pair = 0; pair < pairs; pair++)
        {
            if (pair % 2 == 0)
            {
                firstTimes[pair] = first();
            }

            secondTimes[pair] = second();
            if (pair % 2 == 1)
            {
                firstTimes[pair] = first();
            }
        }

        return new(firstTimes, secondTimes);
    }

    /// <summary>Seconds that an action takes.</summary>
    public static double Seconds(Action action)
    {
        var clock = Stopwatch.StartNew();
        action();
        return clock.Elapsed.TotalSeconds;
    }

    private static double Median(IReadOnlyList<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
