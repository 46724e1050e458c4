namespace RegCache.Lab.Reports;

/// <summary>What listing a data set found, and what it left out and why. Nothing is left out without a word.</summary>
/// <param name="Source">What was listed: a folder, shards, a table.</param>
/// <param name="Found">What is used, in words: <c>8 images in 4 class folders</c>.</param>
/// <param name="LeftOut">What is not used.</param>
/// <param name="Warnings">What is used but looks wrong, a sentence each.</param>
public sealed record DataInventory(
    string Source, string Found, IReadOnlyList<LeftOut> LeftOut, IReadOnlyList<string> Warnings)
{
    /// <summary>Tells all of it, with a message for each warning.</summary>
    public void Tell(IWorkProgress progress)
    {
        progress.Message(ToString());
        foreach (var warning in Warnings)
        {
            progress.Message($"Warning: {warning}");
        }
    }

    /// <summary>What was found and left out, as one line.</summary>
    public override string ToString() =>
        LeftOut.Count == 0 ? $"{Source}: {Found}." : $"{Source}: {Found}. Left out: {string.Join("; ", LeftOut)}.";
}

/// <summary>Things that were left out for one reason.</summary>
/// <param name="Reason">What they are, in the plural, so that the reason is clear: <c>names that begin with a dot</c>.</param>
/// <param name="Count">How many.</param>
/// <param name="Examples">The first of them.</param>
public sealed record LeftOut(string Reason, int Count, IReadOnlyList<string> Examples)
{
    /// <inheritdoc />
    public override string ToString() =>
        $"{Reason}: {Count} ({string.Join(", ", Examples)}{(Count > Examples.Count ? ", ..." : "")})";
}

/// <summary>Counts what is left out, by reason.</summary>
internal sealed class LeftOutCounter
{
    private const int MostExamples = 3;
    private readonly OrderedDictionary<string, (int Count, List<string> Examples)> _reasons = [];

    public IReadOnlyList<LeftOut> Reasons => [.. _reasons.Select(pair => new LeftOut(pair.Key, pair.Value.Count, pair.Value.Examples))];

    /// <param name="reason">What such things are, in the plural.</param>
    /// <param name="example">The name of this one.</param>
    public void Add(string reason, string example)
    {
        var (count, examples) = _reasons.TryGetValue(reason, out var known) ? known : (0, []);
        if (examples.Count < MostExamples)
        {
            examples.Add(example);
        }

        _reasons[reason] = (count + 1, examples);
    }
}
