namespace RegCache.Lab.Benchmarks;

/// <summary>Several things timed in turn, round after round: ratios within a round are steadier than times on a noisy machine.</summary>
internal sealed class RoundRobin
{
    private readonly List<(string Name, Func<double> Run, List<double> Seconds)> _contenders = [];

    /// <summary>Names of the contenders, in order.</summary>
    public IEnumerable<string> Names => _contenders.Select(contender => contender.Name);

    /// <summary>Adds a contender; the function returns its own seconds.</summary>
    public void Add(string name, Func<double> run) => _contenders.Add((name, run, []));

    /// <summary>Whether there is a contender of that name.</summary>
    public bool Has(string name) => _contenders.Exists(contender => contender.Name == name);

    /// <summary>Times all of them, after one warm-up round.</summary>
    public void Run(int rounds)
    {
        for (var round = -1; round < rounds; round++)
        {
            foreach (var (_, run, seconds) in _contenders)
            {
                var time = run();
                if (round >= 0)
                {
                    seconds.Add(time);
                }
            }
        }
    }

    /// <summary>Median seconds of a contender.</summary>
    public double Median(string name) => Median(Times(name));

    /// <summary>How many times faster the first is than the second: median, lowest and highest of the rounds.</summary>
    public (double Median, double Low, double High) Ratio(string first, string second)
    {
        double[] ratios = [.. Times(first).Zip(Times(second), (one, other) => other / one)];
        return (Median(ratios), ratios.Min(), ratios.Max());
    }

    private List<double> Times(string name) => _contenders.Find(contender => contender.Name == name).Seconds;

    private static double Median(IReadOnlyCollection<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
