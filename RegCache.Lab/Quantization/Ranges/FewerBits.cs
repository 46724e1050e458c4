using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Ranges;

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
