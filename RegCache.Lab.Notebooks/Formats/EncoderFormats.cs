using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Notebooks.Formats;

/// <summary>Plans: what is plugged into which blocks.</summary>
internal static class PlanFormat
{
    public static void WriteHtml(EncoderPlan plan, HtmlText html)
    {
        if (plan.Embedding is { } embedding)
        {
            html.Paragraph($"patch embedding: {embedding}");
        }

        html.Table(
            $"plan for {plan.Blocks.Count} blocks",
            ["blocks", "before", "attention", "between attention and MLP", "layers"],
            Runs(plan).Select(run => (HtmlCell[])
            [
                HtmlCell.Words(run.First == run.Last ? $"{run.First}" : $"{run.First} to {run.Last}"),
                HtmlCell.Words(string.Join(", ", run.Block.Before)),
                HtmlCell.Words(string.Join(", ", Attention(run.Block))),
                HtmlCell.Words(string.Join(", ", run.Block.Between)),
                HtmlCell.Words(run.Block.Transform?.ToString() ?? "float"),
            ]));
    }

    public static string Text(EncoderPlan plan) => string.Join("; ", Runs(plan).Select(run =>
    {
        var parts = run.Block.Before.Select(stage => $"before: {stage}")
            .Concat(Attention(run.Block))
            .Concat(run.Block.Between.Select(stage => $"between: {stage}"))
            .Append(run.Block.Transform?.ToString() ?? "float");
        return $"{(run.First == run.Last ? $"block {run.First}" : $"blocks {run.First} to {run.Last}")}: {string.Join(", ", parts)}";
    }));

    public static void WriteHtml(PlanTree tree, HtmlText html) => html.Pairs(
        "plan tree",
        [
            ("plans", $"{tree.Plans.Count}"),
            ("block forwards an image, one plan at a time", $"{tree.BlockForwardsAlone}"),
            ("block forwards an image, shared", $"{tree.BlockForwards}"),
            ("saved", FormattableString.Invariant($"{1 - ((double)tree.BlockForwards / tree.BlockForwardsAlone):P0}")),
        ]);

    public static string Text(PlanTree tree) =>
        $"{tree.Plans.Count} plans: {tree.BlockForwards} block forwards an image instead of {tree.BlockForwardsAlone}";

    private static IEnumerable<string> Attention(BlockPlan block)
    {
        if (block.Prefix is { } prefix && block.PrefixCount > 0)
        {
            yield return $"{block.PrefixCount} x prefix {prefix.Id}";
        }

        if (block.ProportionalAttention)
        {
            yield return "proportional";
        }
    }

    /// <summary>Neighbouring blocks with the same plan.</summary>
    private static IEnumerable<(int First, int Last, BlockPlan Block)> Runs(EncoderPlan plan)
    {
        for (var first = 0; first < plan.Blocks.Count;)
        {
            var last = first;
            while (last + 1 < plan.Blocks.Count && plan.Blocks[last + 1] == plan.Blocks[first])
            {
                last++;
            }

            yield return (first, last, plan.Blocks[first]);
            first = last + 1;
        }
    }
}

/// <summary>The architecture of a vision tower.</summary>
internal static class ConfigFormat
{
    public static void WriteHtml(VisionConfig config, HtmlText html) => html.Pairs(
        "vision tower",
        [
            ("blocks", $"{config.Layers}"),
            ("channels", $"{config.Width}, in {config.Heads} heads"),
            ("MLP", $"{config.MlpWidth}"),
            ("image", $"{config.ImageSize.Height} x {config.ImageSize.Width}"),
            ("patches", $"{config.Grid.Height} x {config.Grid.Width} of {config.Patch.Height} x {config.Patch.Width} pixels"),
            ("class tokens", $"{config.ClassTokens}"),
            .. config.LateTokens is { } late ? new[] { ("late tokens", late.Describe()) } : [],
            ("pooling", $"{config.PoolType}"),
        ]);

    public static string Text(VisionConfig config) =>
        $"vision tower of {config.Layers} blocks, {config.Width} channels in {config.Heads} heads, {config.Grid.Height} x {config.Grid.Width} patches of {config.PatchSize} pixels";
}

/// <summary>Multiply-accumulates, in millions, by part and block.</summary>
internal static class MacsFormat
{
    private const double Million = 1e6;

    public static void WriteHtml(MacsTable table, HtmlText html)
    {
        var kinds = table.Rows.Select(row => row.Kind).Distinct().Order().ToArray();
        var largest = table.Rows.Select(row => row.Macs).Append(1).Max();
        html.Table(
            Text(table),
            ["block", "tokens", .. kinds.Select(kind => kind.ToString())],
            table.Rows.GroupBy(row => row.Block).Select(block => (HtmlCell[])
            [
                HtmlCell.Words(block.Key?.ToString(CultureInfo.InvariantCulture) ?? "outside"),
                HtmlCell.Count(block.Max(row => row.Tokens)),
                .. kinds.Select(kind => block.FirstOrDefault(row => row.Kind == kind) is { } row
                    ? HtmlCell.Number(row.Macs / Million, "0.##", (double)row.Macs / largest)
                    : new HtmlCell(string.Empty)),
            ]));
    }

    public static string Text(MacsTable table) => FormattableString.Invariant(
        $"{table.Total / Million:0.##} million multiply-accumulates an image, {table.FinalTokens} tokens at the end{(table.Matching > 0 ? FormattableString.Invariant($"; matching {table.Matching / Million:0.##} million more") : string.Empty)}");
}
