using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// Merges tokens inside the four windows of the patch grid: the local step of local-global merging (token-merging.md,
/// section 7). Afterwards the patch tokens lie in window order.
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

        using var scope = torch.NewDisposeScope();
        var spare = runs.Tokens - runs.AtLeast.Sum();
        var merge = BipartiteMatching.MatchInWindows(
            MergeMetric.Of(batch, context),
            counts,
            WindowGrid.Of(batch),
            runs.AtLeast.Max() + spare,
            batch.Layout.ProtectedTokens,
            Outliers.Penalty(batch));
        var after = new WindowRuns(
            [.. runs.AtLeast.Zip(counts, (tokens, count) => tokens - count)], runs.Tokens - counts.Sum());
        return (merge.Apply(batch) with { Layout = batch.Layout with { Windows = after } }).MoveToOuterDisposeScope(batch);
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
