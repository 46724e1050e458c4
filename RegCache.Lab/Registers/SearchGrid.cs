using RegCache.Lab.Encoders;

namespace RegCache.Lab.Registers;

/// <summary>Stage 5: the scores of all settings (regcache.md, section 8.2).</summary>
/// <param name="Images">Images in the search set.</param>
/// <param name="DeleteBlock">Block k before which tokens are deleted.</param>
/// <param name="Cells">One entry a setting, by extraction block, prefix count and delete count, ascending.</param>
public sealed record SearchGrid(int Images, int DeleteBlock, ValueList<GridCell> Cells)
{
    /// <summary>
    /// The best settings, in the order of the cells, scored again with ranges calibrated for each; null when the cells'
    /// own scores decide.
    /// </summary>
    public ValueList<GridCell>? Finalists { get; init; }

    /// <summary>
    /// The best setting with at least one prefix token: the first maximum of the correct predictions (or minimum of the
    /// error) in the order of the cells, so that ties go to the smallest block, then prefix count, then delete count.
    /// </summary>
    public GridCell Best(SearchMetric metric) => Ranked(metric, Finalists ?? Cells).First();

    /// <summary>The cells in the order in which <see cref="Best"/> would choose them, ignoring the finalists.</summary>
    public IEnumerable<GridCell> Ranked(SearchMetric metric) => Ranked(metric, Cells);

    /// <summary>The cell of a setting.</summary>
    public GridCell this[int extractionBlock, int prefixCount, int deleteCount] => Cells.First(
        cell => (cell.ExtractionBlock, cell.PrefixCount, cell.DeleteCount) == (extractionBlock, prefixCount, deleteCount));

    private IEnumerable<GridCell> Ranked(SearchMetric metric, ValueList<GridCell> cells)
    {
        // Sorting is stable, so equals stay in the order of the cells.
        var searched = cells.Where(cell => cell.PrefixCount > 0 && cell.Images == Images);
        return metric == SearchMetric.Accuracy
            ? searched.OrderByDescending(cell => cell.Correct)
            : searched.OrderBy(cell => cell.FeatureMse);
    }
}
