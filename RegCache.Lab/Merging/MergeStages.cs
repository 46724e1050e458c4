using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// Merges the most similar tokens of every image between attention and MLP: the step of ToMe (Bolya et al. 2023, "Token
/// Merging: Your ViT But Faster"; docs/methods/token-merging.md). Class and register tokens take no part.
/// </summary>
/// <param name="Count">Tokens to merge away; capped at half of the free tokens.</param>
public sealed record MergeTokens(int Count) : ITokenStage
{
    /// <summary>How outlier tokens are treated.</summary>
    public OutlierRule Outliers { get; init; } = OutlierRule.None;

    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        var count = PairsOf(batch);
        return count == 0
            ? batch
            : TensorScope.Run(() => BipartiteMatching.Match(
                MergeMetric.Of(batch, context), count, batch.Layout.ProtectedTokens, Outliers.Penalty(batch))!.Apply(batch));
    }

    /// <inheritdoc />
    public long Macs(TokenBatch batch, StageContext context) =>
        PairsOf(batch) == 0 ? 0 : MergeMetric.PairScores(batch.Length) * context.Keys!.shape[^1];

    private int PairsOf(TokenBatch batch) => Math.Min(Count, Outliers.Pairs((int)batch.Length - batch.Layout.ProtectedTokens));
}

/// <summary>
/// Merges tokens inside the four windows of the patch grid: the local step of LGTM (Heo et al. 2023, arXiv 2303.02331;
/// docs/methods/token-merging.md). Afterwards the patch tokens lie in window order.
/// </summary>
/// <param name="PerWindow">Tokens to merge away in each window; capped at half of the window's tokens.</param>
public sealed record MergeInWindows(int PerWindow) : ITokenStage
{
    /// <summary>How outlier tokens are treated.</summary>
    public OutlierRule Outliers { get; init; } = OutlierRule.None;

    /// <inheritdoc />
    /// <exception cref="UserException">Tokens have merged across windows, or the grid is too small for windows.</exception>
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        if (PerWindow == 0)
        {
            return batch;
        }

        var runs = WindowGrid.Runs(batch);
        var counts = PairsOf(runs);
        if (counts.Sum() == 0)
        {
            return batch;
        }

        var spare = runs.Tokens - runs.AtLeast.Sum();
        var after = new WindowRuns(
            [.. runs.AtLeast.Zip(counts, (tokens, count) => tokens - count)], runs.Tokens - counts.Sum());
        return TensorScope.Run(() =>
        {
            var merge = BipartiteMatching.MatchInWindows(
                MergeMetric.Of(batch, context),
                counts,
                WindowGrid.Of(batch),
                runs.AtLeast.Max() + spare,
                batch.Layout.ProtectedTokens,
                Outliers.Penalty(batch));
            return merge.Apply(batch) with { Layout = batch.Layout with { Windows = after } };
        });
    }

    /// <inheritdoc />
    public long Macs(TokenBatch batch, StageContext context)
    {
        if (PerWindow == 0)
        {
            return 0;
        }

        var runs = WindowGrid.Runs(batch);
        return PairsOf(runs).Sum() == 0
            ? 0
            : runs.AtLeast.Sum(tokens => MergeMetric.PairScores(tokens)) * context.Keys!.shape[^1];
    }

    private int[] PairsOf(WindowRuns runs) =>
        [.. runs.AtLeast.Select(tokens => Math.Min(PerWindow, Outliers.Pairs(tokens)))];
}

/// <summary>
/// The four windows of a patch grid, by number: top left, top right, bottom left, bottom right. The first window of a side has
/// ceil(side/2) rows or columns.
/// </summary>
public static class WindowGrid
{
    /// <summary>Number of windows.</summary>
    public const int Windows = 4;

    /// <summary>Patches of each window.</summary>
    /// <exception cref="UserException">A side of the grid is one patch.</exception>
    public static IReadOnlyList<int> Lengths(int rows, int columns)
    {
        if (rows < 2 || columns < 2)
        {
            throw new UserException($"A grid of {rows} x {columns} patches has no four windows; use global merging, or a larger image.");
        }

        var (top, left) = ((rows + 1) / 2, (columns + 1) / 2);
        return [top * left, top * (columns - left), (rows - top) * left, (rows - top) * (columns - left)];
    }

    /// <summary>The window of every patch token of a stream, from the tokens' positions [B,N-P], int64.</summary>
    public static Tensor Of(TokenBatch batch) => TensorScope.Run(() =>
    {
        var (rows, columns) = (batch.Layout.GridRows, batch.Layout.GridColumns);
        var (first, free) = (batch.Layout.ProtectedTokens, batch.Length - batch.Layout.ProtectedTokens);
        var patches = batch.Positions is { } positions
            ? positions.narrow(1, first, free) - first
            : torch.arange(free, dtype: torch.ScalarType.Int64, device: batch.Tokens.device).expand(batch.Images, -1);
        var row = patches.div(columns, rounding_mode: torch.RoundingMode.floor);
        var column = patches.remainder(columns);
        return (row.ge((rows + 1) / 2).to(torch.ScalarType.Int64) * 2) + column.ge((columns + 1) / 2).to(torch.ScalarType.Int64);
    });

    /// <summary>
    /// How many tokens each window has at least. Exact unless tokens were deleted: each of those may have come from any
    /// window.
    /// </summary>
    /// <exception cref="UserException">Tokens have merged across windows, or the grid is too small.</exception>
    public static WindowRuns Runs(TokenBatch batch)
    {
        var layout = batch.Layout;
        var free = (int)batch.Length - layout.ProtectedTokens;
        if (layout.Windows is null && batch.Sizes is not null)
        {
            throw new UserException("Merging inside windows cannot follow pooling, or merging of whole images: put the local blocks before those.");
        }

        var noted = layout.Windows
            ?? new WindowRuns([.. Lengths(layout.GridRows, layout.GridColumns)], layout.GridRows * layout.GridColumns);
        var deleted = noted.Tokens - free;
        return new([.. noted.AtLeast.Select(tokens => Math.Max(0, tokens - deleted))], free);
    }
}
