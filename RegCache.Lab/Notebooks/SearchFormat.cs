using RegCache.Lab.Registers;

namespace RegCache.Lab.Notebooks;

/// <summary>Stage 5 as one table an extraction block: accuracy by prefix count and delete count.</summary>
internal static class SearchFormat
{
    public static void WriteHtml(SearchGrid grid, HtmlText html)
    {
        var accuracies = grid.Cells.Where(cell => cell.Images == grid.Images).Select(Accuracy).ToArray();
        var (low, high) = accuracies.Length == 0 ? (0, 1) : (accuracies.Min(), accuracies.Max());
        html.Paragraph(Text(grid));
        foreach (var block in grid.Cells.GroupBy(cell => cell.ExtractionBlock))
        {
            var deletions = block.Select(cell => cell.DeleteCount).Distinct().Order().ToArray();
            html.Table(
                $"top-1 %, prefix from block {block.Key}; down: prefix tokens, across: tokens deleted before block {grid.DeleteBlock}",
                ["", .. deletions.Select(count => $"{count}")],
                block.GroupBy(cell => cell.PrefixCount).Select(row => (HtmlCell[])
                [
                    HtmlCell.Count(row.Key),
                    .. deletions.Select(count => row.FirstOrDefault(cell => cell.DeleteCount == count) is { } cell && cell.Images == grid.Images
                        ? HtmlCell.Number(Accuracy(cell), share: high > low ? (Accuracy(cell) - low) / (high - low) : 0)
                        : new HtmlCell("dropped")),
                ]));
        }
    }

    public static string Text(SearchGrid grid)
    {
        if (!grid.Cells.Any(cell => cell.PrefixCount > 0 && cell.Images == grid.Images))
        {
            return $"{grid.Cells.Count} settings on {grid.Images} images, none with a prefix";
        }

        var best = grid.Best(SearchMetric.Accuracy);
        return FormattableString.Invariant(
            $"{grid.Cells.Count} settings on {grid.Images} images; the best: prefix from block {best.ExtractionBlock}, {best.PrefixCount} tokens, {best.DeleteCount} deleted before block {grid.DeleteBlock}, top-1 {Accuracy(best):0.00} %");
    }

    private static double Accuracy(GridCell cell) => 100.0 * cell.Correct / cell.Images;
}
