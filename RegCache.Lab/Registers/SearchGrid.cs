using RegCache.Lab.Encoders;

namespace RegCache.Lab.Registers;

/// <summary>Stage 5: the scores of all settings (regcache.md, section 8.2).</summary>
/// <param name="Images">Images in the search set.</param>
/// <param name="DeleteBlock">Block k before which tokens are deleted.</param>
/// <param name="Cells">One entry a setting, by extraction block, prefix count and delete count, ascending.</param>
public sealed record SearchGrid(int Images, int DeleteBlock, ValueList<GridCell> Cells)
{
    /// <summary>
    /// The best setting with at least one prefix token: the first maximum of the correct predictions (or minimum of the
    /// error) in the order of the cells, so that ties go to the smallest block, then prefix count, then delete count.
    /// </summary>
    public GridCell Best(SearchMetric metric)
    {
        var searched = Cells.Where(cell => cell.PrefixCount > 0 && cell.Images == Images);
        return metric == SearchMetric.Accuracy
            ? searched.MaxBy(cell => cell.Correct)!
            : searched.MinBy(cell => cell.FeatureMse)!;
    }

    /// <summary>The cell of a setting.</summary>
    public GridCell this[int extractionBlock, int prefixCount, int deleteCount] => Cells.First(
        cell => (cell.ExtractionBlock, cell.PrefixCount, cell.DeleteCount) == (extractionBlock, prefixCount, deleteCount));
}
