using System.Globalization;
using RegCache.Lab.Registers;

namespace RegCache.Lab.Notebooks;

/// <summary>Averaged prefixes: from which tokens, and how large their keys and values are, by block.</summary>
internal static class PrefixFormat
{
    private const int MostTokens = 5;

    public static void WriteHtml(PrefixCache prefix, HtmlText html)
    {
        html.Paragraph(Text(prefix));
        html.Table(
            "averaged rows by block (l2 norms)",
            ["block", "key", "value", "residual"],
            Norms(prefix).Select(row => (HtmlCell[])
                [HtmlCell.Count(row.Block), HtmlCell.Number(row.Key), HtmlCell.Number(row.Value), HtmlCell.Number(row.Hidden)]));
        html.Table(
            prefix.Tokens.Count > MostTokens ? $"the first {MostTokens} of its {prefix.Tokens.Count} tokens" : "its tokens",
            ["image", "position", "score"],
            prefix.Tokens.Take(MostTokens).Select(token => (HtmlCell[])
                [HtmlCell.Count(token.Image), HtmlCell.Count(token.Token), HtmlCell.Number(token.Score)]));
    }

    public static string Text(PrefixCache prefix)
    {
        var last = prefix.ExtractionBlock + prefix.Keys.shape[0] - 1;
        var scores = prefix.Tokens.Count == 0
            ? string.Empty
            : string.Create(CultureInfo.InvariantCulture, $", scores {prefix.Tokens[^1].Score:0.0} to {prefix.Tokens[0].Score:0.0}");
        return $"Prefix from block {prefix.ExtractionBlock}: keys and values of {prefix.Keys.shape[1]} channels for blocks {prefix.ExtractionBlock} to {last}, the mean of {prefix.Tokens.Count} tokens{scores}";
    }

    private static IEnumerable<(int Block, double Key, double Value, double Hidden)> Norms(PrefixCache prefix)
    {
        float[] Of(Tensor rows)
        {
            using var scope = torch.NewDisposeScope();
            return rows.square().sum(-1).sqrt().cpu().data<float>().ToArray();
        }

        var (keys, values, hidden) = (Of(prefix.Keys), Of(prefix.Values), Of(prefix.Hidden));
        return keys.Select((key, index) => (prefix.ExtractionBlock + index, (double)key, (double)values[index], (double)hidden[index]));
    }
}
