using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Ranges;

/// <summary>Whether RegCache with few bits errs no more than the same quantizer with more bits without it.</summary>
/// <param name="Baseline">Name of the quantizer.</param>
/// <param name="More">Bit-widths without RegCache.</param>
/// <param name="Fewer">Bit-widths with RegCache.</param>
/// <param name="Layers">Layers whose input has no larger mean squared error.</param>
/// <param name="Of">All layers.</param>
public sealed record FewerBits(string Baseline, string More, string Fewer, int Layers, int Of)
{
    /// <summary>Compares all bit-widths of a study, the largest first.</summary>
    /// <param name="rows">From <see cref="RangeStudy.Run"/>.</param>
    public static ValueList<FewerBits> From(IReadOnlyList<RangeRow> rows) =>
    [
        .. from baseline in rows.Where(row => row.Mse is not null).GroupBy(row => row.Baseline)
           let widths = baseline.Select(row => row.Bits).Distinct().OrderByDescending(bits => QuantizationBits.Parse(bits).Activations).ToList()
           from more in widths.Index()
           from fewer in widths.Skip(more.Index + 1)
           let without = baseline.Where(row => row.Bits == more.Item && !row.Registers)
           let with = baseline.Where(row => row.Bits == fewer && row.Registers)
           let better = without.Zip(with, (left, right) => right.Mse <= left.Mse).ToList()
           select new FewerBits(baseline.Key, more.Item, fewer, better.Count(isBetter => isBetter), better.Count),
    ];
}
