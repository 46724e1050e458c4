using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Ranges;

/// <summary>A range study in one line for each quantizer: all layers without and with RegCache.</summary>
/// <param name="Baseline">Name of the quantizer, or "float".</param>
/// <param name="Bits">Bit-widths, or "float".</param>
/// <param name="LInfWithout">Largest magnitude of an image at the layer where it is largest, without RegCache.</param>
/// <param name="LInfWith">The same with RegCache.</param>
/// <param name="KurtosisWithout">Largest kurtosis of a layer, without RegCache.</param>
/// <param name="KurtosisWith">The same with RegCache.</param>
/// <param name="SqnrWithout">Signal over quantization error of a token, decibels, mean over tokens and layers, without RegCache; null in float.</param>
/// <param name="SqnrWith">The same with RegCache.</param>
/// <param name="BitsGained">What the difference is worth: a bit halves the step, which is 6.02 decibels. Mean over layers.</param>
/// <param name="MostBitsGained">The same at the layer that gains most.</param>
public sealed record RangeSummary(
    string Baseline,
    string Bits,
    double LInfWithout,
    double LInfWith,
    double? KurtosisWithout,
    double? KurtosisWith,
    double? SqnrWithout,
    double? SqnrWith,
    double? BitsGained,
    double? MostBitsGained)
{
    private static readonly double _decibelsOfABit = 20 * Math.Log10(2);

    /// <summary>Sums rows up.</summary>
    /// <param name="rows">From <see cref="RangeStudy.Run"/>, of cases that come with and without RegCache.</param>
    public static ValueList<RangeSummary> Of(IReadOnlyList<RangeRow> rows) =>
    [
        .. rows.GroupBy(row => (row.Baseline, row.Bits))
            .Select(group => Of([.. group.Where(row => !row.Registers)], [.. group.Where(row => row.Registers)])),
    ];

    private static RangeSummary Of(IReadOnlyList<RangeRow> without, IReadOnlyList<RangeRow> with)
    {
        double[] gained = [.. without.Zip(with, (left, right) => (right.TokenSqnr - left.TokenSqnr) / _decibelsOfABit).OfType<double>()];
        return new(
            without[0].Baseline,
            without[0].Bits,
            without.Max(row => row.LInf),
            with.Max(row => row.LInf),
            without.Max(row => row.Kurtosis),
            with.Max(row => row.Kurtosis),
            without.Average(row => row.TokenSqnr),
            with.Average(row => row.TokenSqnr),
            gained.Length == 0 ? null : gained.Average(),
            gained.Length == 0 ? null : gained.Max());
    }
}

/// <summary>Where tokens come out as precisely with RegCache at few bits as without it at more.</summary>
/// <param name="Baseline">Name of the quantizer.</param>
/// <param name="More">Bit-widths without RegCache.</param>
/// <param name="Fewer">Bit-widths with RegCache.</param>
/// <param name="Layers">Layers, as block and name, at whose input signal over error of a token, mean in decibels, is no smaller.</param>
/// <param name="Of">Number of all layers.</param>
public sealed record FewerBits(string Baseline, string More, string Fewer, ValueList<string> Layers, int Of)
{
    /// <summary>Compares all bit-widths of a study, the largest first.</summary>
    /// <param name="rows">From <see cref="RangeStudy.Run"/>.</param>
    public static ValueList<FewerBits> From(IReadOnlyList<RangeRow> rows) =>
    [
        .. from baseline in rows.Where(row => row.TokenSqnr is not null).GroupBy(row => row.Baseline)
           let widths = baseline.Select(row => row.Bits).Distinct().OrderByDescending(bits => QuantizationBits.Parse(bits).Activations).ToList()
           from more in widths.Index()
           from fewer in widths.Skip(more.Index + 1)
           let without = baseline.Where(row => row.Bits == more.Item && !row.Registers)
           let with = baseline.Where(row => row.Bits == fewer && row.Registers)
           let pairs = without.Zip(with).ToList()
           let better = pairs.Where(pair => pair.Second.TokenSqnr >= pair.First.TokenSqnr)
           select new FewerBits(baseline.Key, more.Item, fewer, [.. better.Select(pair => $"{pair.First.Block} {pair.First.Layer}")], pairs.Count),
    ];
}
