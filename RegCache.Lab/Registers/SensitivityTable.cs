using RegCache.Lab.Encoders;

namespace RegCache.Lab.Registers;

/// <summary>Stage 1: what happens when one layer alone is quantized (regcache.md, section 4).</summary>
/// <param name="Images">Number of images.</param>
/// <param name="FloatCorrect">Correct predictions of the float model.</param>
/// <param name="Rows">One row for each block and layer, block-major.</param>
public sealed record SensitivityTable(int Images, long FloatCorrect, ValueList<SensitivityRow> Rows)
{
    // Below this difference in accuracy two layers of different blocks cannot be told apart by counting.
    private const double Indistinct = 0.01;

    /// <summary>The quantization-sensitive layer: the lowest accuracy, or the largest error; the first on ties.</summary>
    public SensitivityRow Worst(SearchMetric metric) => metric == SearchMetric.Accuracy
        ? Rows.MinBy(row => row.Correct)!
        : Rows.MaxBy(row => row.FeatureMse)!;

    /// <summary>
    /// Whether accuracy does not single out a block: the second-worst layer is within one point of the worst and
    /// belongs to another block, as at 4 bits, where several layers may be at chance (regcache.md, OPEN-1).
    /// </summary>
    public bool AccuracyIsIndistinct()
    {
        var worst = Worst(SearchMetric.Accuracy);
        var second = Rows.Where(row => row != worst).MinBy(row => row.Correct);
        return second is not null && second.Block != worst.Block && second.Correct - worst.Correct <= Indistinct * Images;
    }
}
